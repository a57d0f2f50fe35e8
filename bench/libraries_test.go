package main

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The comparison is fair only if all libraries do what the tables state.
func TestEachLibraryAnswersAndNamesItsChecks(t *testing.T) {
	for _, lib := range libraries {
		t.Run(lib.name, func(t *testing.T) {
			var g gauge
			i, err := openWell(lib, settings{checks: three(g.count(well))})
			require.NoError(t, err)
			defer i.close()
			status, body := i.get()
			assert.Equal(t, http.StatusOK, status)
			for n := range 3 {
				if lib.namesCheck {
					assert.Contains(t, body, checkName(n))
				} else {
					assert.NotContains(t, body, checkName(n))
				}
			}
			assert.GreaterOrEqual(t, g.begun.Load(), int64(3), "the checks have run")
		})
	}
}

func TestEachLibrarySeesAFailure(t *testing.T) {
	failing := func(context.Context) error { return errors.New("down") }
	for _, lib := range libraries {
		t.Run(lib.name, func(t *testing.T) {
			i, err := lib.open(settings{checks: []check{well, failing, well}})
			require.NoError(t, err)
			defer i.close()
			status, _ := i.get()
			assert.Equal(t, http.StatusServiceUnavailable, status)
			assert.Equal(t, http.StatusServiceUnavailable, i.asker()(), "the cheap request must get the same answer")
		})
	}
}

func TestEachLibraryIsAlive(t *testing.T) {
	for _, lib := range libraries {
		i, err := openWell(lib, settings{live: true})
		require.NoError(t, err)
		i.close()
	}
}

// The limits must send the same answers as echohealth.
func TestStaticAnswersTheSame(t *testing.T) {
	h, err := newHealth()
	require.NoError(t, err)
	defer func() { _ = h.Close() }()
	want := httptest.NewRecorder()
	h.ServeHTTP(want, get(readyPath))
	limit := newStatic(want.Body.String())
	for name, handler := range map[string]http.Handler{
		limitNet: limit, limitUse: application(use(limit.middleware)), "by hand": http.HandlerFunc(limit.byHand),
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, get(readyPath))
			assert.Equal(t, want.Code, w.Code)
			assert.Equal(t, want.Header(), w.Header())
			assert.Equal(t, want.Body.String(), w.Body.String())
		})
	}
}
