package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/echo-probes/echohealth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestOpenAPI validates docs/openapi.yaml with the schema of the specification.
func TestOpenAPI(t *testing.T) {
	_, errs := loadOpenAPI(t).validator.ValidateDocument()
	for _, err := range errs {
		t.Error(err)
	}
}

// Every path that the document describes must exist, and every endpoint that TestAnswers requests must be
// described.
func TestOpenAPIPaths(t *testing.T) {
	h, err := echohealth.New(echohealth.WithPage(), echohealth.WithPrometheus(),
		echohealth.WithDatabase(well), echohealth.WithGroup("payment", "database"))
	require.NoError(t, err)
	defer h.Close()
	paths := loadOpenAPI(t).paths(t)
	named := strings.NewReplacer("{name}", "cpu", "{group}", "payment")
	for _, path := range paths {
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, named.Replace(path), nil))
		assert.Equal(t, http.StatusOK, recorder.Code, path)
		if !strings.HasSuffix(path, "/") {
			assert.Contains(t, paths, path+"/", "each path is there in both forms")
		}
	}
}

// TestOpenAPIRefuses shows that the validation can fail. Each of these answers is wrong in one point.
func TestOpenAPIRefuses(t *testing.T) {
	const (
		live     = `{"status":"alive","timestamp":"2026-11-25T10:00:00Z"}`
		stuck    = `{"status":"stuck","timestamp":"2026-11-25T10:00:00Z"}`
		refused  = `{"status":"ready","timestamp":"2026-11-25T10:00:00Z"}`
		ready    = `{"status":"ready","timestamp":"2026-11-25T10:00:00Z","checks":{}}`
		notReady = `{"status":"not_ready","timestamp":"2026-11-25T10:00:00Z","checks":{}}`
		warning  = `{"status":"warning","reason":"slow","response_time_ms":1,"since":"2026-11-25T09:00:00Z"}`
	)
	all := http.Header{
		"Content-Type": {"application/json"}, "Cache-Control": {"no-store"}, "X-Content-Type-Options": {"nosniff"}, "Content-Length": {"54"},
		"Www-Authenticate": {`Bearer realm="health"`}, "Allow": {"GET, HEAD"},
	}
	header := func(name, value string) http.Header {
		h := all.Clone()
		h.Set(name, value)
		if value == "" {
			h.Del(name)
		}
		return h
	}
	tests := map[string]struct {
		method, path string
		answer       answer
		right        bool
	}{
		"right":                         {"GET", "/live/", answer{200, all, []byte(live)}, true},
		"right, without a body":         {"HEAD", "/live/", answer{200, all, nil}, true},
		"right, refused":                {"GET", "/checks/redis", answer{401, all, []byte(`{"error":"unauthorized"}`)}, true},
		"right, a warning":              {"GET", "/checks/redis/", answer{200, all, []byte(warning)}, true},
		"a path that isn't there":       {"GET", "/alive/", answer{200, all, []byte(live)}, false},
		"a name that none can have":     {"GET", "/checks/a%20b", answer{200, all, []byte(warning)}, false},
		"a method that isn't there":     {"PUT", "/live/", answer{200, all, []byte(live)}, false},
		"a status that isn't there":     {"GET", "/live/", answer{204, all, nil}, false},
		"right, it is stuck":            {"GET", "/live/", answer{503, all, []byte(stuck)}, true},
		"stuck, but 200":                {"GET", "/live/", answer{200, all, []byte(stuck)}, false},
		"groups show checks or nothing": {"GET", "/groups/payment/", answer{200, all, []byte(refused)}, false},
		"right, a group is refused":     {"GET", "/groups/payment", answer{403, all, []byte(`{"error":"forbidden"}`)}, true},
		"alive, but 503":                {"GET", "/live/", answer{503, all, []byte(live)}, false},
		"right, a group":                {"GET", "/groups/payment/", answer{503, all, []byte(notReady)}, true},
		"a group, but another status":   {"GET", "/groups/payment/", answer{200, all, []byte(notReady)}, false},
		"detailed is never 503":         {"GET", "/detailed/", answer{503, all, []byte(notReady)}, false},
		"live needs no token":           {"GET", "/live/", answer{401, all, []byte(`{"error":"unauthorized"}`)}, false},
		"ready, but 503":                {"GET", "/ready/", answer{503, all, []byte(ready)}, false},
		"not ready, but 200":            {"GET", "/ready/", answer{200, all, []byte(notReady)}, false},
		"a warning, but 503":            {"GET", "/checks/redis/", answer{503, all, []byte(warning)}, false},
		"another answer's body":         {"GET", "/live/", answer{200, all, []byte(ready)}, false},
		"no JSON":                       {"GET", "/live/", answer{200, all, []byte("alive")}, false},
		"no body":                       {"GET", "/live/", answer{200, all, nil}, false},
		"a body for HEAD":               {"HEAD", "/live/", answer{200, all, []byte(live)}, false},
		"another content type":          {"GET", "/live/", answer{200, header("Content-Type", "text/plain"), []byte(live)}, false},
		"it may be cached":              {"GET", "/live/", answer{200, header("Cache-Control", "max-age=5"), []byte(live)}, false},
		"nothing about caches":          {"GET", "/live/", answer{200, header("Cache-Control", ""), []byte(live)}, false},
		"nothing against sniffing":      {"HEAD", "/live/", answer{200, header("X-Content-Type-Options", ""), nil}, false},
		"no length":                     {"GET", "/live/", answer{200, header("Content-Length", ""), []byte(live)}, false},
		"no challenge":                  {"GET", "/detailed", answer{401, header("Www-Authenticate", ""), []byte(`{"error":"unauthorized"}`)}, false},
		"another challenge":             {"GET", "/detailed", answer{401, header("Www-Authenticate", "Digest"), []byte(`{"error":"unauthorized"}`)}, false},
		"405 without what is allowed":   {"GET", "/live", answer{405, header("Allow", ""), []byte(`{"error":"method_not_allowed"}`)}, false},
		"another word for what is gone": {"GET", "/live", answer{404, all, []byte(`{"error":"gone"}`)}, false},
	}
	for name, test := range tests {
		complaints := loadOpenAPI(t).complaints(test.method, prefix+test.path, test.answer)
		assert.Equal(t, test.right, len(complaints) == 0, "%s: %q", name, complaints)
	}
}
