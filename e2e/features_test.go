package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/echo-probes/echohealth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFeatures compares the endpoints that options add with docs/schema.json and docs/openapi.yaml.
func TestFeatures(t *testing.T) {
	h, err := echohealth.New(echohealth.WithPage(), echohealth.WithPrometheus(), echohealth.WithDatabase(well),
		echohealth.WithRedis(refused))
	require.NoError(t, err)
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		server.Close()
		assert.NoError(t, h.Close())
	})
	c := &client{t: t, openapi: loadOpenAPI(t), url: server.URL}
	c.check("/detailed/", "detailed")
	for _, query := range []string{"", "?window=24h&component=redis", "?window=1m"} {
		answer := c.ask(http.MethodGet, "/history/"+query)
		assert.NoError(t, validate(t, "history", answer.body), "%s", answer.body)
		assert.Empty(t, c.openapi.complaints(http.MethodGet, prefix+"/history/", answer))
	}
	bad := c.ask(http.MethodGet, "/history/?window=1")
	assert.Equal(t, http.StatusBadRequest, bad.status)
	assert.NoError(t, validate(t, "bad-request", bad.body))
	assert.Empty(t, c.openapi.complaints(http.MethodGet, prefix+"/history/", bad))
	for _, path := range []string{"/prometheus/", "/badge.svg"} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
			answer := c.ask(method, path)
			documented := method
			if method == http.MethodPost {
				documented = http.MethodGet
			}
			assert.Empty(t, c.openapi.complaints(documented, prefix+path, answer), "%s %s", method, path)
		}
	}
}
