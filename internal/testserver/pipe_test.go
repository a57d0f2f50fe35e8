package testserver_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
)

func TestPipe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		pipe := testserver.NewPipe()
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			time.Sleep(time.Hour)
			_, _ = io.WriteString(w, "hello")
		})}
		go server.Serve(pipe)
		transport := &http.Transport{DialContext: pipe.DialContext}
		client := &http.Client{Transport: transport}
		began := time.Now()
		response, err := client.Get("http://any/")
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		assert.Equal(t, "hello", string(body))
		assert.Equal(t, time.Hour, time.Since(began))

		transport.CloseIdleConnections()
		require.NoError(t, server.Close())
		_, err = pipe.DialContext(t.Context(), "tcp", "any")
		assert.ErrorIs(t, err, net.ErrClosed)
		_, err = pipe.Accept()
		assert.ErrorIs(t, err, net.ErrClosed)
		assert.NoError(t, pipe.Close(), "twice is once")
	})
}

func TestPipeWithoutAccept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := testserver.NewPipe().DialContext(ctx, "tcp", "any")
		assert.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
