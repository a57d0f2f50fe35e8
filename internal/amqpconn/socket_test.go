package amqpconn

import (
	"io"
	"net"
	"testing"

	"github.com/echo-probes/echohealth/internal/limitedconn"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// If a broker sends without end, reading must stop at the limit.
func TestReadingIsBounded(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for chunk := make([]byte, 64<<10); err == nil; {
			_, err = conn.Write(chunk)
		}
	}()
	s, err := connect(t.Context(), "tcp", listener.Addr().String(), func() {})
	require.NoError(t, err)
	defer s.abort()
	n, err := io.Copy(io.Discard, struct{ io.Reader }{s})
	assert.ErrorIs(t, err, limitedconn.ErrTooMuch)
	assert.InDelta(t, limitedconn.MaxRead, n, 64<<10)

	s.Reset() // begins the next call
	n, err = io.Copy(io.Discard, struct{ io.Reader }{s})
	assert.ErrorIs(t, err, limitedconn.ErrTooMuch)
	assert.InDelta(t, limitedconn.MaxRead, n, 64<<10)
}
