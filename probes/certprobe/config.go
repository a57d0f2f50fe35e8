package certprobe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"runtime/debug"

	"github.com/echo-probes/echohealth/probes"
)

func validConfig(config *tls.Config, name string) error {
	switch {
	case config == nil:
		return errors.New("certprobe.Config(nil): the configuration must not be nil")
	case len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil:
		return errors.New("certprobe.Config: the configuration must have Certificates, GetCertificate or " +
			"GetConfigForClient; for the files of ListenAndServeTLS use certprobe.File")
	case len(config.Certificates) > 0 && config.GetCertificate != nil && name == "":
		return errors.New("certprobe.Config: with Certificates and GetCertificate, certprobe.ServerName must " +
			"set a name, because GetCertificate is not called for a client that names no server")
	}
	return nil
}

// configured shows the certificates of a tls.Config.
type configured struct {
	config *tls.Config
	name   string        // that a client requests
	slot   chan struct{} // has a value as long as functions of config may run
}

func newConfigured(config *tls.Config, name string) *configured {
	return &configured{config: config, name: name, slot: make(chan struct{}, 1)}
}

func (c *configured) show(ctx context.Context) ([][]*x509.Certificate, error) {
	if c.name == "" && c.config.GetCertificate == nil && c.config.GetConfigForClient == nil {
		return parseAll(c.config.Certificates)
	}
	select {
	case c.slot <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("a function of the tls.Config has not returned since an earlier check: %w",
			ctx.Err())
	}
	client, conn := newConns()
	defer client.Close()
	served := make(chan error, 1)
	go c.serve(ctx, conn, served)
	chain, _, err := handshake(ctx, client, c.name)
	if err == nil {
		return [][]*x509.Certificate{chain}, nil
	}
	_ = client.Close()
	select {
	case cause := <-served:
		if cause != nil && !isAlert(cause) {
			err = failed(cause) // the client's error is only the alert that the server sent because of this cause
		}
	case <-ctx.Done():
		err = fmt.Errorf("a function of the tls.Config has not returned: %w", ctx.Err())
	}
	return nil, err
}

// isAlert reports whether err is an alert that the other side of the connection sent.
func isAlert(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "remote error"
}

var errExited = errors.New("a function of the tls.Config called runtime.Goexit")

// serve makes the server's side of a handshake. It runs the configuration's functions, which may panic or
// never return.
func (c *configured) serve(ctx context.Context, conn net.Conn, served chan<- error) {
	err := errExited
	defer func() { <-c.slot }()
	defer conn.Close()
	defer func() {
		if v := recover(); v != nil {
			err = probes.Fail(probes.ReasonPanic, fmt.Errorf("panic: %v\n%s", v, debug.Stack()))
		}
		served <- err
	}()
	err = tls.Server(conn, c.config).HandshakeContext(ctx)
}

func parseAll(certificates []tls.Certificate) ([][]*x509.Certificate, error) {
	var chains [][]*x509.Certificate
	for i := range certificates {
		chain, err := parse(certificates[i].Certificate)
		if err != nil {
			err = fmt.Errorf("the tls.Config's Certificates[%d]: %w", i, err)
			return nil, probes.Fail(probes.ReasonMisconfigured, err)
		}
		chains = append(chains, chain)
	}
	return chains, nil
}

func parse(chain [][]byte) ([]*x509.Certificate, error) {
	if len(chain) == 0 {
		return nil, errors.New("there is no certificate")
	}
	var parsed []*x509.Certificate
	for _, der := range chain {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		parsed = append(parsed, certificate)
	}
	return parsed, nil
}
