package echohealth_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
)

// docs/stability.md names every word that is the status of an answer.
func TestStabilityNamesTheWords(t *testing.T) {
	_, row, found := strings.Cut(readFile(t, "docs/stability.md"), "\n| words |")
	require.True(t, found)
	row, _, _ = strings.Cut(row, "\n")
	synctest.Test(t, func(t *testing.T) {
		loop, rotation := probes.NewHeartbeat(time.Minute), probes.NewSwitch()
		h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithLiveness(loop),
			echohealth.WithStartupGate(), echohealth.WithCheck("rotation", rotation))
		words := map[string]bool{}
		ask := func() {
			for _, endpoint := range []string{"live", "ready", "startup", "detailed", "checks/rotation"} {
				var answer struct{ Status string }
				require.NoError(t, json.Unmarshal(get(h, "/api/health/"+endpoint+"/").Body.Bytes(), &answer))
				words[answer.Status] = true
			}
		}
		ask()
		h.MarkStarted()
		ask()
		rotation.Off("")
		time.Sleep(2 * time.Minute)
		ask()
		require.NoError(t, h.Close())
		for _, word := range []string{"alive", "stuck", "ready", "not_ready", "starting", "started", "healthy", "unhealthy", "ok", "error"} {
			assert.True(t, words[word], "the test has seen %s", word)
		}
		for word := range words {
			assert.Contains(t, row, "`"+word+"`")
		}
	})
}

// docs/stability.md names every path that answers 404 without its option.
func TestStabilityNamesThePathsKeptFree(t *testing.T) {
	_, section, found := strings.Cut(readFile(t, "docs/stability.md"), "\n## Paths that are kept free\n")
	require.True(t, found)
	section, _, _ = strings.Cut(section, "\n## ")
	h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(well))
	for path, request := range map[string]string{
		"/history/": "/history/", "/prometheus/": "/prometheus/", "/badge.svg": "/badge.svg", "/groups/": "/groups/payment/",
	} {
		assert.Equal(t, http.StatusNotFound, get(h, "/api/health"+request).Code, path)
		assert.Contains(t, section, "`"+path+"`")
	}
}
