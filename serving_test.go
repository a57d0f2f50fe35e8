package echohealth_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// If a server's WriteTimeout is not above the longest timeout of the checks, it can cut off an answer. The
// first health request to each handler logs a warning.
func TestAdviceOnWriteTimeout(t *testing.T) {
	for name, test := range map[string]struct {
		writeTimeout time.Duration
		paths        []string // paths of the service; below /private those of Private
		want         int      // the number of records
	}{
		"shorter":     {500 * time.Millisecond, []string{"/api/health/live", "/api/health/ready"}, 1},
		"the same":    {2 * time.Second, []string{"/api/health/ready"}, 1},
		"longer":      {3 * time.Second, []string{"/api/health/ready"}, 0},
		"none":        {0, []string{"/api/health/ready"}, 0},
		"no look":     {time.Second, []string{"/hello"}, 0},
		"two servers": {time.Second, []string{"/api/health/live", "/private/api/health/live"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			var log logBuffer
			h := newHealth(t, logTo(&log), echohealth.WithoutSystemMetrics(), echohealth.WithRedis(well),
				echohealth.WithDatabase(well, echohealth.Timeout(2*time.Second)))
			mux := http.NewServeMux()
			mux.Handle("/", h)
			mux.Handle("/private/", http.StripPrefix("/private", h.Private()))
			server := httptest.NewUnstartedServer(mux)
			server.Config.WriteTimeout = test.writeTimeout
			server.Start()
			defer server.Close()
			for _, path := range test.paths {
				response, err := server.Client().Get(server.URL + path)
				require.NoError(t, err)
				require.NoError(t, response.Body.Close())
			}
			require.NoError(t, h.Close()) // Close waits until the log is written
			assert.Equal(t, test.want, strings.Count(log.String(), `msg="health check advice"`), log.String())
			if test.want > 0 {
				assert.Contains(t, log.String(), "the WriteTimeout of the http.Server is "+
					test.writeTimeout.String()+", but a check may take 2s, so the answer may be cut off")
			}
		})
	}
}
