package echohealth_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const acceptOfBrowsers = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// browse sends a request as a browser does.
func browse(h http.Handler, path string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept", acceptOfBrowsers)
	for _, f := range change {
		f(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestNoPageUnlessItIsTurnedOn(t *testing.T) {
	h := newHealth(t, echohealth.WithDatabase(well), echohealth.WithHistory())
	assert.Equal(t, "application/json", browse(h, "/api/health/").Header().Get("Content-Type"))
	assert.Equal(t, http.StatusNotFound, browse(h, "/api/health/badge.svg").Code)
}

func TestPage(t *testing.T) {
	h := newHealth(t, echohealth.WithPage(), echohealth.WithPage(), echohealth.WithDatabase(well),
		echohealth.WithRedis(failing(probes.Fail(probes.ReasonReadOnly, errors.New("s3cret")))))
	for _, path := range []string{"/api/health/", "/api/health"} {
		page := browse(h, path)
		assert.Equal(t, http.StatusOK, page.Code)
		assert.Equal(t, "text/html; charset=utf-8", page.Header().Get("Content-Type"))
		assert.Equal(t, "Accept", page.Header().Get("Vary"))
		assert.Contains(t, page.Header().Get("Content-Security-Policy"), "default-src 'none'")
		assert.Contains(t, page.Body.String(), `"base":"./"`)
		assert.NotContains(t, page.Body.String(), `"redis":{`, "a check without settings takes no space")
		assert.Contains(t, page.Body.String(), "redis: read_only since")
		assert.NotContains(t, page.Body.String(), "s3cret")
	}
	assert.Equal(t, "application/json", browse(h, "/api/health/detailed/").Header().Get("Content-Type"))
	json := get(h, "/api/health/")
	assert.Equal(t, "application/json", json.Header().Get("Content-Type"))
	assert.Empty(t, json.Header().Get("Content-Security-Policy"))
	head := request(h, http.MethodHead, "/api/health/badge.svg")
	assert.Equal(t, "image/svg+xml", head.Header().Get("Content-Type"))
	assert.Contains(t, get(h, "/api/health/badge.svg").Body.String(), "unhealthy")
}

// A service that is switched off, starts or drains is not down, and its badge is grey.
func TestBadge(t *testing.T) {
	rotation := probes.NewSwitch()
	h := newHealth(t, echohealth.WithPage(), echohealth.WithoutSystemMetrics(), echohealth.WithStartupGate(),
		echohealth.WithDrainDelay(0), echohealth.WithCheck("rotation", rotation, echohealth.FreshFor(time.Millisecond)))
	badge := func() string {
		time.Sleep(2 * time.Millisecond)
		return regexp.MustCompile(`<title>health: (.*)</title>`).FindStringSubmatch(get(h, "/api/health/badge.svg").Body.String())[1]
	}
	assert.Equal(t, "starting", badge())
	h.MarkStarted()
	assert.Equal(t, "healthy", badge())
	rotation.Off("maintenance")
	assert.Eventually(t, func() bool { return badge() == "switched off" }, time.Minute, 10*time.Millisecond)
	require.NoError(t, h.Drain(t.Context()))
	assert.Equal(t, "draining", badge())
	require.NoError(t, h.Close())
	assert.Equal(t, "closed", badge())
}

// Behind a load balancer the page must distinguish the instances.
func TestInstance(t *testing.T) {
	h := newHealth(t, echohealth.WithPage())
	var detailed, history struct{ Instance string }
	require.NoError(t, json.Unmarshal(get(h, "/api/health/detailed/").Body.Bytes(), &detailed))
	require.NoError(t, json.Unmarshal(get(h, "/api/health/history/").Body.Bytes(), &history))
	assert.Regexp(t, "^[0-9a-f]{8}$", detailed.Instance)
	assert.Equal(t, detailed.Instance, history.Instance)
	assert.Equal(t, detailed.Instance, h.Report(t.Context()).Instance)
	assert.NotEqual(t, detailed.Instance, newHealth(t, echohealth.WithPage()).Last().Instance)
	assert.NotContains(t, get(newHealth(t), "/api/health/detailed/").Body.String(), "instance")
}

// The script requests addresses relative to the page's, so that a proxy may strip or add a part of the path.
// The slash at the end of the page's address makes no difference, so that a proxy may strip or add it.
func TestPageRequestsRelativeAddresses(t *testing.T) {
	h := newHealth(t, echohealth.WithPage(), echohealth.WithPrefix("/ops/health"),
		echohealth.WithAlias("/status", echohealth.Index), echohealth.WithAlias("/a/b", echohealth.Index))
	for path, base := range map[string]string{
		"/ops/health": "./", "/status": "../ops/health/", "/a/b": "../../ops/health/",
	} {
		assert.Contains(t, browse(h, path).Body.String(), `"base":"`+base+`"`, path)
		assert.Contains(t, browse(h, path+"/").Body.String(), `"base":"`+base+`"`, path)
	}
}

func TestGuardOfThePage(t *testing.T) {
	h := newHealth(t, echohealth.WithPage(), echohealth.WithGuard(echohealth.BearerToken("s3cret")))
	refused := browse(h, "/api/health/")
	assert.Equal(t, http.StatusUnauthorized, refused.Code)
	assert.Contains(t, refused.Header().Values("WWW-Authenticate"), `Basic realm="health", charset="UTF-8"`)
	let := browse(h, "/api/health/", func(r *http.Request) { r.SetBasicAuth("", "s3cret") })
	assert.Equal(t, "text/html; charset=utf-8", let.Header().Get("Content-Type"))
	for _, private := range []http.Handler{h.Private(), h.Private(echohealth.ShowErrors())} {
		assert.Equal(t, "text/html; charset=utf-8", browse(private, "/api/health/").Header().Get("Content-Type"))
		assert.Equal(t, "application/json", get(private, "/api/health/").Header().Get("Content-Type"))
	}
}

// ShowErrors shows errors at the prefix too.
func TestThePageKeepsThePrivateErrors(t *testing.T) {
	h := newHealth(t, echohealth.WithPage(), echohealth.WithDatabase(failing(errors.New("its text"))))
	assert.Contains(t, get(h.Private(echohealth.ShowErrors()), "/api/health/").Body.String(), "its text")
	assert.NotContains(t, get(h, "/api/health/").Body.String(), "its text")
}

func TestPageRequirements(t *testing.T) {
	const needs = "echohealth: WithPublic: the page of WithPage, which is at Index, needs Detailed and History"
	_, err := echohealth.New(echohealth.WithPage(), echohealth.WithPublic(echohealth.Index, echohealth.Detailed))
	assert.EqualError(t, err, needs)
	h := newHealth(t, echohealth.WithPage(), echohealth.WithPublic(echohealth.Live))
	assert.Equal(t, http.StatusNotFound, browse(h, "/api/health/").Code)
	assert.Equal(t, http.StatusOK, browse(h.Private(), "/api/health/").Code)
	_, err = echohealth.New(echohealth.WithPublic(echohealth.Badge))
	assert.EqualError(t, err, `echohealth: WithPublic: the endpoint "badge.svg" needs WithPage`)
}

// Echo's own middleware sets headers and compresses. The policy of the page replaces that of the middleware.
func TestThePageUnderEchosMiddleware(t *testing.T) {
	h := newHealth(t, echohealth.WithPage(), echohealth.WithDatabase(probes.Func(func(context.Context) error { return nil })))
	e := echo.New()
	e.Use(middleware.SecureWithConfig(middleware.SecureConfig{ContentSecurityPolicy: "default-src 'self'"}))
	e.Use(middleware.Gzip(), h.Middleware)
	page := browse(e, "/api/health/")
	assert.Contains(t, page.Header().Get("Content-Security-Policy"), "script-src 'sha256-")
	packed := browse(e, "/api/health/", func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") })
	assert.Equal(t, "gzip", packed.Header().Get("Content-Encoding"))
	assert.Less(t, packed.Body.Len(), 12<<10)
	t.Logf("%d bytes, %d compressed", page.Body.Len(), packed.Body.Len())
}
