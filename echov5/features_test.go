package echov5_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/echov5"
	"github.com/labstack/echo/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The endpoints that options add work under Echo v5 too, with each way to add the middleware.
func TestFeatures(t *testing.T) {
	h, err := echohealth.New(echohealth.WithPage(), echohealth.WithPrometheus())
	require.NoError(t, err)
	defer h.Close()
	e := echo.New()
	e.Use(echov5.From(h))
	for _, test := range []struct{ path, accept, want string }{
		{"/api/health/", "text/html,*/*;q=0.8", "text/html; charset=utf-8"},
		{"/api/health/", "*/*", "application/json"},
		{"/api/health/history/", "*/*", "application/json"},
		{"/api/health/prometheus/", "*/*", "text/plain; version=0.0.4; charset=utf-8"},
		{"/api/health/badge.svg", "*/*", "image/svg+xml"},
	} {
		r := httptest.NewRequest(http.MethodGet, test.path, nil)
		r.Header.Set("Accept", test.accept)
		w := httptest.NewRecorder()
		e.ServeHTTP(w, r)
		assert.Equal(t, http.StatusOK, w.Code, test.path)
		assert.Equal(t, test.want, w.Header().Get("Content-Type"), test.path)
	}
}
