// Package testservice serves health answers of echohealth, and invalid answers, for the tests of the command.
package testservice

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// LongTimeout is longer than the duration of any test in which no server hangs.
const LongTimeout = 20 * time.Second

// Up is always ok, Down is always an error, and Warning is always a warning.
var (
	Up      = probes.Func(func(context.Context) error { return nil })
	Down    = probes.Func(func(context.Context) error { return syscall.ECONNREFUSED })
	Warning = probes.Func(func(context.Context) error {
		return probes.Warn("licence_expires", errors.New("12 days left"))
	})
)

// New returns a Health that logs nothing and is closed at the end of the test.
func New(t testing.TB, opts ...echohealth.Option) *echohealth.Health {
	t.Helper()
	h, err := echohealth.New(append(opts, echohealth.WithLogger(slog.New(slog.DiscardHandler)))...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, h.Close()) })
	return h
}

// Serve serves handler until the end of the test and returns the server's URL.
func Serve(t testing.TB, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// Answering returns a handler that gives the same answer to every request.
func Answering(status int, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	})
}

// ClosedPort returns an address on which no program listens.
func ClosedPort(t testing.TB) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(testserver.FreePort(t)))
}
