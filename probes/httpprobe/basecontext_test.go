package httpprobe_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/httpprobe"
	"github.com/stretchr/testify/assert"
)

type (
	tenantKey struct{}
	spanKey   struct{}
)

// tenantTransport panics if the context has no tenant, as hooks of applications do.
type tenantTransport struct{ got context.Context }

func (tr *tenantTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	tr.got = r.Context()
	_ = tr.got.Value(tenantKey{}).(string)
	return http.DefaultTransport.RoundTrip(r)
}

func TestBaseContext(t *testing.T) {
	server := newServer(t, func(http.ResponseWriter, *http.Request) {})
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	base, cancel := context.WithTimeoutCause(t.Context(), time.Hour, context.DeadlineExceeded)
	base = context.WithValue(context.WithValue(base, tenantKey{}, "health"), spanKey{}, "base")
	cancel() // the cancellation has no effect
	transport := new(tenantTransport)
	probe := newProbe(t, server.URL, httpprobe.BaseContext(t.Context()), httpprobe.BaseContext(base),
		httpprobe.Client(&http.Client{Transport: transport}))

	result := probe.Check(context.WithValue(context.Background(), spanKey{}, "check"))
	assert.Equal(t, probes.OK, result.Status, "%v", result.Err)
	assert.Equal(t, "health", transport.got.Value(tenantKey{}), "of the last use")
	assert.Equal(t, "check", transport.got.Value(spanKey{}), "the check's own value comes first")
	_, bounded := transport.got.Deadline()
	assert.False(t, bounded)
	assert.NoError(t, context.Cause(transport.got))

	done, stop := context.WithCancel(context.Background())
	stop()
	assert.ErrorIs(t, probe.Check(done).Err, context.Canceled, "the check's own end counts")

	var none context.Context
	const rule = "httpprobe.BaseContext(nil): the context must not be nil"
	assert.EqualError(t, httpprobe.New(server.URL, httpprobe.BaseContext(none)).Validate(), rule)
}
