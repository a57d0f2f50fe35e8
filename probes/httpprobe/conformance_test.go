package httpprobe_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/httpprobe"
	"github.com/echo-probes/echohealth/probes/probetest"
)

// teapot is a function for Expect.
func teapot(status int, _ []byte) error {
	return probes.Warn("teapot", fmt.Errorf("HTTP status %d", status))
}

func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for what hangs")
	}
	var hung sync.RWMutex // locked while the server hangs
	server := newServer(t, func(w http.ResponseWriter, r *http.Request) {
		hung.RLock()
		defer hung.RUnlock()
		if r.URL.Path != "/healthz" {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	url := strings.Replace(server.URL, "http://", "http://app:s3cret@", 1)
	tests := map[string]struct {
		path string
		opts []httpprobe.Option
		want probes.Status
	}{
		"well":                   {"/healthz", nil, probes.OK},
		"with a client given":    {"/healthz", []httpprobe.Option{httpprobe.Client(server.Client())}, probes.OK},
		"with a header":          {"/healthz", []httpprobe.Option{httpprobe.Header("Authorization", "Bearer t0ken")}, probes.OK},
		"with a function":        {"/other", []httpprobe.Option{httpprobe.Expect(teapot)}, probes.Warning},
		"with a token":           {"/healthz", []httpprobe.Option{httpprobe.BearerToken("t0ken"), httpprobe.Method("HEAD")}, probes.OK},
		"of what answers by 503": {"/other", nil, probes.Error},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			probetest.Run(t, func(t *testing.T) probes.Probe {
				t.Cleanup(server.Client().CloseIdleConnections)
				return httpprobe.New(url+test.path, test.opts...)
			}, probetest.Options{
				Want:    test.want,
				Hang:    func(t *testing.T) { hung.Lock(); t.Cleanup(hung.Unlock) },
				Secrets: []string{"s3cret", "t0ken"},
				Hidden:  []string{"127.0.0.1", "app", "/healthz"},
				Ignore:  []string{"net/http.(*conn).serve"},
			})
		})
	}
}
