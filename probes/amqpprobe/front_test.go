package amqpprobe_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tlsFront is a TLS proxy for a broker without TLS.
type tlsFront struct {
	addr           string
	valid, expired tls.Certificate
	now            atomic.Pointer[tls.Certificate]
}

func newTLSFront(t *testing.T, target string) *tlsFront {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	f := &tlsFront{valid: selfSigned(t, key, time.Hour), expired: selfSigned(t, key, -time.Minute)}
	f.now.Store(&f.valid)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return f.now.Load(), nil },
	})
	require.NoError(t, err)
	f.addr = listener.Addr().String()
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { join(client, target) })
		}
	})
	t.Cleanup(func() { listener.Close(); serving.Wait() })
	return f
}

// selfSigned makes a self-signed certificate for 127.0.0.1, which is also its own authority.
func selfSigned(t *testing.T, key *ecdsa.PrivateKey, lasts time.Duration) tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(lasts),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	leaf, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// trusted returns a configuration for clients that trusts the certificate.
func (f *tlsFront) trusted() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(f.valid.Leaf)
	roots.AddCert(f.expired.Leaf)
	return &tls.Config{RootCAs: roots}
}

func (f *tlsFront) expire(yes bool) {
	f.now.Store(&f.valid)
	if yes {
		f.now.Store(&f.expired)
	}
}

func join(client net.Conn, target string) {
	defer client.Close()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	var back sync.WaitGroup
	back.Go(func() {
		io.Copy(client, server)
		client.Close()
	})
	io.Copy(server, client)
	server.Close()
	back.Wait()
}
