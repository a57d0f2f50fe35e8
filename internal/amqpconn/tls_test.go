package amqpconn_test

import (
	"crypto/tls"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
)

func TestTLS(t *testing.T) {
	noLeaks(t)
	cert, key := certificate(t)
	rabbit := testserver.SharedRabbitMQ(t)
	proxy := testserver.NewProxy(t, rabbit.Addr())
	addr := terminateTLS(t, cert, key, proxy.Addr())
	amqps := "amqps://app:app-secret@" + addr + "/"

	trusted := open(t, amqps+"?server_name_indication=localhost&cacertfile="+cert)
	require.NoError(t, within(t, trusted, 5*time.Second))
	unverified := open(t, amqps+"?ssl_cert_reqs=CERT_NONE")
	require.NoError(t, within(t, unverified, 5*time.Second))
	requireReason(t, probes.ReasonTLSError, within(t, open(t, amqps), 5*time.Second))
	anyName := open(t, amqps+"?ssl_check_hostname=false&cacertfile="+cert)
	require.NoError(t, within(t, anyName, 5*time.Second))
	unknownCA := open(t, amqps+"?ssl_check_hostname=false")
	requireReason(t, probes.ReasonTLSError, within(t, unknownCA, 5*time.Second))
	otherName := open(t, amqps+"?cacertfile="+cert)
	requireReason(t, probes.ReasonTLSError, within(t, otherName, 5*time.Second))

	proxy.Stall()
	requireReason(t, probes.ReasonTimeout, within(t, trusted, 100*time.Millisecond))
	requireReason(t, probes.ReasonTimeout, within(t, trusted, 100*time.Millisecond))
	proxy.Pass()
	require.NoError(t, within(t, trusted, 5*time.Second))
}

// terminateTLS starts a TLS server with a certificate. It forwards what it receives to target without TLS.
func terminateTLS(t *testing.T, cert, key, target string) string {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(cert, key)
	require.NoError(t, err)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	require.NoError(t, err)
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
	return listener.Addr().String()
}

func join(client net.Conn, target string) {
	defer client.Close()
	if client.(*tls.Conn).Handshake() != nil {
		return
	}
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
