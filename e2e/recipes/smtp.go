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
			return ctx.Err() // not that of the connection, which it has closed
		}
		answer, ok := errors.AsType[*textproto.Error](err)
		switch {
		case !ok:
			return err // nil too
		case answer.Code == 530, answer.Code == 534, answer.Code == 535:
			return probes.Fail(probes.ReasonAuthenticationFailed, err)
		case answer.Code == 421:
			return probes.Fail(probes.ReasonDependencyStarting, err)
		}
		return err
	}
}

// logIn sends no mail. PlainAuth refuses to send a password to another host without TLS.
func logIn(ctx context.Context, address, host string, auth smtp.Auth) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() }) // net/smtp knows no context
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
