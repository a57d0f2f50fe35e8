package echohealth_test

import (
	"errors"
	"net/http"
	"testing"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/contract"
	"github.com/labstack/echo/v4"
)

// The endpoints keep the same contract in every way to add them. The tests of module echov5 do this for Echo
// v5.
func TestContract(t *testing.T) {
	faces := map[string]func(h *echohealth.Health) http.Handler{
		"Echo v4, Use": func(h *echohealth.Health) http.Handler {
			e := contractApplication()
			e.Use(h.Middleware)
			return e
		},
		"Echo v4, Pre": func(h *echohealth.Health) http.Handler {
			e := contractApplication()
			e.Pre(h.Middleware)
			return e
		},
		"net/http, Wrap": func(h *echohealth.Health) http.Handler {
			return h.Wrap(http.HandlerFunc(plainApplication))
		},
	}
	for name, serve := range faces {
		t.Run(name, func(t *testing.T) { contract.Run(t, serve) })
	}
}

// contractApplication is the application that the contract wants, on Echo v4.
func contractApplication() *echo.Echo {
	e := echo.New()
	e.HTTPErrorHandler = func(err error, c echo.Context) {
		c.Response().Header().Set("X-Application", "yes")
		if errors.Is(err, echo.ErrNotFound) {
			_ = c.String(http.StatusNotFound, "the application's 404")
			return
		}
		_ = c.String(http.StatusInternalServerError, "the application's error handler")
	}
	says := func(text string) echo.HandlerFunc {
		return func(c echo.Context) error {
			c.Response().Header().Set("X-Application", "yes")
			return c.String(http.StatusOK, text)
		}
	}
	e.GET("/hello", says("hello"))
	e.GET("/api/healthy", says("the application's own"))
	e.GET("/fails", func(echo.Context) error { return errors.New("the application's own error") })
	return e
}

// plainApplication is the same application on net/http.
func plainApplication(w http.ResponseWriter, r *http.Request) {
	status, text := http.StatusNotFound, "the application's 404"
	switch r.URL.Path {
	case "/hello":
		status, text = http.StatusOK, "hello"
	case "/api/healthy":
		status, text = http.StatusOK, "the application's own"
	case "/fails":
		status, text = http.StatusInternalServerError, "the application's error handler"
	}
	w.Header().Set("X-Application", "yes")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text))
}
