package echohealth_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// errorOf returns the member "error" of the check "redis" in an answer.
func errorOf(t *testing.T, handler http.Handler, path string) (text string, found bool) {
	t.Helper()
	var document struct {
		Error  *string
		Checks map[string]struct{ Error *string }
	}
	require.NoError(t, json.Unmarshal(get(handler, path).Body.Bytes(), &document), path)
	if shown := document.Checks["redis"].Error; shown != nil {
		document.Error = shown
	}
	if document.Error == nil {
		return "", false
	}
	return *document.Error, true
}

var shownAt = []string{"/api/health", "/api/health/ready/", "/api/health/detailed/", "/api/health/checks/redis/"}

func TestShowErrors(t *testing.T) {
	cause := errors.New(`dial tcp 10.0.0.7:6379: "refused"`)
	h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithRedis(failing(cause)),
		echohealth.WithDatabase(well), echohealth.WithGuard(echohealth.BearerToken("t")))
	for _, path := range shownAt {
		text, _ := errorOf(t, h.Private(echohealth.ShowErrors()), path)
		assert.Equal(t, cause.Error(), text, path)
		_, found := errorOf(t, h.Private(), path)
		assert.False(t, found, "%s: only on demand", path)
		_, found = errorOf(t, h.Private(nil), path)
		assert.False(t, found, path)
		assert.NotContains(t, get(h, path).Body.String(), "10.0.0.7", "%s: never outside", path)
	}
	body := get(h.Private(echohealth.ShowErrors()), "/api/health/detailed").Body.String()
	assert.Equal(t, 1, strings.Count(body, `"error":"`), "what is ok has none: %s", body)
	assert.Equal(t, 404, get(h.Private(echohealth.ShowErrors()), "/api/health/nope").Code)
	assert.Equal(t, 200, get(h.Private(echohealth.ShowErrors()), "/api/health/live").Code)
}

func TestShowErrorsOfMetrics(t *testing.T) {
	h := newHealth(t, quiet, echohealth.WithMemoryThreshold(0, echohealth.Never), echohealth.WithDisk("disk", "/no/such/folder"))
	private := h.Private(echohealth.ShowErrors())
	assert.Contains(t, get(private, "/api/health/checks/memory").Body.String(), `of the memory is in use, more than the warning threshold of 0%"}`)
	assert.Contains(t, get(private, "/api/health/detailed").Body.String(), `/no/such/folder`)
	assert.NotContains(t, get(h, "/api/health/detailed").Body.String(), "folder")
	require.NoError(t, h.Close())
	assert.Contains(t, get(private, "/api/health/detailed").Body.String(), `"memory":{"status":"error","reason":"stale"`)
}

// The text of a shown error has its passwords masked, has a maximum length, and is valid JSON.
func TestShownErrorsAreMaskedAndBounded(t *testing.T) {
	for text, want := range map[string]string{
		"redis://:s3cret@cache:6379: refused":       "redis://:***@cache:6379: refused",
		"host=db password=s3cret user=app: refused": "host=db password=*** user=app: refused",
		"two\nlines \x00 and \xff":                  "two\nlines \x00 and \ufffd",
		strings.Repeat("é", 1000):                   strings.Repeat("é", 512) + "…",
		"x" + strings.Repeat("é", 1000):             "x" + strings.Repeat("é", 511) + "…",
		strings.Repeat("x", 1024):                   strings.Repeat("x", 1024),
	} {
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithRedis(failing(errors.New(text))))
		for _, path := range shownAt {
			got, _ := errorOf(t, h.Private(echohealth.ShowErrors()), path)
			assert.Equal(t, want, got, path)
			assert.True(t, utf8.ValidString(got))
		}
	}
	panics := probes.Func(func(context.Context) error { panic("password=s3cret") })
	h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithRedis(panics))
	got, _ := errorOf(t, h.Private(echohealth.ShowErrors()), "/api/health/detailed")
	assert.Contains(t, got, "panic: password=***")
	assert.NotContains(t, got, "s3cret")
}
