package recipes

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/smtp"
	"net/textproto"

	"github.com/echo-probes/echohealth/probes"
)

func smtpProbe(address, user, password string) probes.Func {
	host, _, _ := net.SplitHostPort(address)
	return func(ctx context.Context) error {
		err := logIn(ctx, address, host, smtp.PlainAuth("", user, password, host))
		if err != nil && ctx.Err() != nil {
			return ctx.Err() // err is only the consequence: logIn closes the connection when ctx ends
		}
		answer, ok := errors.AsType[*textproto.Error](err)
		switch {
		case !ok:
			return err // it may be nil
		case answer.Code == 530, answer.Code == 534, answer.Code == 535:
			return probes.Fail(probes.ReasonAuthenticationFailed, err)
		case answer.Code == 421:
			return probes.Fail(probes.ReasonDependencyStarting, err)
		}
		return err
	}
}

// logIn authenticates and sends no mail. PlainAuth sends no password without TLS, except to localhost.
func logIn(ctx context.Context, address, host string, auth smtp.Auth) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // net/smtp takes no context
	defer stop()
	client, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	if ok, _ := client.Extension("STARTTLS"); ok {
		if err := client.StartTLS(&tls.Config{ServerName: host}); err != nil {
			return err
		}
	}
	if err := client.Auth(auth); err != nil {
		return err
	}
	return client.Quit()
}
