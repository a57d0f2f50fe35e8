package probetest_test

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/httpprobe"
	"github.com/echo-probes/echohealth/probes/probetest"
)

func Example() {
	// In the package of a probe, TestProbe is a function of the test file.
	TestProbe := func(t *testing.T) {
		var hung sync.RWMutex // locked while the server hangs
		server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			hung.RLock()
			defer hung.RUnlock()
		}))
		defer server.Close()
		probetest.Run(t, func(*testing.T) probes.Probe {
			return httpprobe.New(server.URL, httpprobe.Header("Authorization", "Bearer app-secret"))
		}, probetest.Options{
			Hang:    func(t *testing.T) { hung.Lock(); t.Cleanup(hung.Unlock) },
			Secrets: []string{"app-secret"},
			Hidden:  []string{server.Listener.Addr().String()},
			Ignore:  []string{"net/http.(*conn).serve"}, // the goroutines of the server
		})
	}

	_ = TestProbe
}
