package certprobe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"

	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/probes"
)

// server is the address of a TLS server.
type server struct {
	address string
	name    string // that the probe requests (SNI)
}

func (s *server) show(ctx context.Context) ([][]*x509.Certificate, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // ends client.Close, whose alert may block
	chain, client, err := handshake(ctx, conn, s.name)
	if err != nil {
		return nil, err
	}
	_ = client.Close()
	return [][]*x509.Certificate{chain}, nil
}

// handshake returns the certificates that a server shows over conn. It ignores a failure after the server has
// shown them, for example because the server requires a client certificate. It sets no limit on their size,
// because package crypto/tls bounds how much it reads.
func handshake(ctx context.Context, conn net.Conn, name string) ([]*x509.Certificate, *tls.Conn, error) {
	var shown []*x509.Certificate
	client := tls.Client(conn, &tls.Config{
		ServerName:         name,
		InsecureSkipVerify: true, // judge verifies the certificates, and finds what is wrong
		VerifyConnection: func(state tls.ConnectionState) error {
			shown = state.PeerCertificates
			return nil
		},
	})
	err := client.HandshakeContext(ctx)
	if len(shown) > 0 {
		return shown, client, nil
	}
	return nil, client, failed(err)
}

// failed returns err with ReasonTLSError if it has no other reason. Some errors of package crypto/tls are
// only a text, from which no reason can be found.
func failed(err error) error {
	if reason.Of(err) == probes.ReasonFailed {
		return probes.Fail(probes.ReasonTLSError, err)
	}
	return err
}
