package balancers

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
)

const (
	figuresVariable = "ECHOHEALTH_BALANCERS"
	figuresRate     = 150
	testRate        = 50
)

// setting is a balancer with a configuration for two instances at pageFirst and pageSecond.
type setting struct {
	balancer, name string
	config         string
	start          func(t *testing.T, config string) *testserver.Balancer
}

func startHAProxy(t *testing.T, config string) *testserver.Balancer {
	t.Helper()
	return testserver.NewHAProxy(t, func(addr string) string { return fmt.Sprintf(haproxyFront, addr) + config })
}

// haproxyFront is Debian's haproxy.cfg without the lines for the operating system, and a frontend.
const haproxyFront = `
defaults
  mode http
  timeout connect 5000
  timeout client 50000
  timeout server 50000

frontend web
  bind %s
  stats enable
  stats uri /stats
  default_backend app

`

func startNginx(t *testing.T, config string) *testserver.Balancer {
	t.Helper()
	return testserver.NewNginx(t, func(addr string) string { return replace(t, config, "listen 80;", "listen "+addr+";") })
}

func startCaddy(t *testing.T, config string) *testserver.Balancer {
	t.Helper()
	return testserver.NewCaddy(t, func(addr string) string { return replace(t, config, "app.example.com", "http://"+addr) })
}

// pageSettings returns the balancers with the blocks of the page.
func pageSettings(t *testing.T) []setting {
	t.Helper()
	const name = "the page's settings"
	return []setting{
		{"HAProxy", name, block(t, "haproxy"), startHAProxy},
		{"nginx", name, block(t, "nginx"), startNginx},
		{"Caddy", name, block(t, "caddyfile"), startCaddy},
	}
}

// defaults returns the balancers with the shortest configuration that works.
func defaults() []setting {
	return []setting{
		{"HAProxy", "defaults, TCP check", `backend app
  server app1 10.0.0.7:8000 check
  server app2 10.0.0.8:8000 check
`, startHAProxy},
		{"HAProxy", "defaults, asks for readiness", `backend app
  option httpchk GET /api/health/ready/
  server app1 10.0.0.7:8000 check
  server app2 10.0.0.8:8000 check
`, startHAProxy},
		{"nginx", "defaults", `upstream app {
  server 10.0.0.7:8000;
  server 10.0.0.8:8000;
}
server {
  listen 80;
  location / { proxy_pass http://app; }
}
`, startNginx},
		{"Caddy", "defaults", `app.example.com {
	reverse_proxy 10.0.0.7:8000 10.0.0.8:8000
}
`, startCaddy},
		{"Caddy", "defaults, asks for readiness", `app.example.com {
	reverse_proxy 10.0.0.7:8000 10.0.0.8:8000 {
		health_uri /api/health/ready/
	}
}
`, startCaddy},
	}
}

// With the page's settings no request may fail while both instances are replaced, one after the other, with
// the default drain delay.
func TestRollingRestart(t *testing.T) {
	if testing.Short() {
		t.Skip("each instance drains for 5 s")
	}
	// With these pauses the defaults lose the most requests: HAProxy retries a connection for 3 s, and nginx
	// excludes an instance for 10 s.
	pauses := map[string]time.Duration{"HAProxy": 5 * time.Second, "nginx": time.Second, "Caddy": time.Second}
	for _, s := range pageSettings(t) {
		t.Run(s.balancer, func(t *testing.T) {
			t.Parallel() // each has its own balancer, instances and load
			r := s.replaceBoth(t, testRate, pauses[s.balancer])
			t.Log(r)
			assert.Zero(t, r.failures(http.MethodGet), "%v", r)
			// nginx does not know that an instance drains, and sends requests until the port closes. A POST that waits
			// to be accepted at that moment is lost, because nginx must not send it twice. This is rare.
			if s.balancer != "nginx" {
				assert.Zero(t, r.failures(http.MethodPost), "%v", r)
			}
		})
	}
}

// TestNoneReady shows which answer a request gets while both instances drain.
func TestNoneReady(t *testing.T) {
	want := map[string]int{
		"HAProxy": http.StatusServiceUnavailable,
		"nginx":   http.StatusOK,                 // nginx does not request readiness
		"Caddy":   http.StatusServiceUnavailable, // after lb_try_duration
	}
	for _, s := range pageSettings(t) {
		t.Run(s.balancer, func(t *testing.T) {
			t.Parallel() // each has its own balancer and instances
			first, second := newDraining(t), newDraining(t)
			balancer := s.start(t, replace(t, s.config, pageFirst, first.addr, pageSecond, second.addr))
			got := func() bool { return status(t, balancer.Addr(), requestPath) == want[s.balancer] }
			require.Eventually(t, got, time.Minute, 50*time.Millisecond)
		})
	}
}

// TestFigures counts the failures with the defaults and with the page's settings, for the page.
func TestFigures(t *testing.T) {
	runs, _ := strconv.Atoi(os.Getenv(figuresVariable))
	if runs < 1 {
		t.Skip("it runs if " + figuresVariable + " is the number of runs of each setting, of 20 s each")
	}
	for _, s := range append(defaults(), pageSettings(t)...) {
		for _, pause := range []time.Duration{time.Second, 5 * time.Second} {
			name := fmt.Sprintf("%s, %s, a new process after %v", s.balancer, s.name, pause)
			var results []result
			for range runs {
				t.Run(name, func(t *testing.T) {
					results = append(results, s.replaceBoth(t, figuresRate, pause))
					t.Log(results[len(results)-1])
				})
			}
			t.Log(name + ": " + summary(results))
		}
	}
}

// summary returns the median of the requests and the range of the failures.
func summary(results []result) string {
	if len(results) == 0 {
		return "no result"
	}
	slices.SortFunc(results, func(a, b result) int { return a.failures("") - b.failures("") })
	lowest, highest := results[0].failures(""), results[len(results)-1].failures("")
	return fmt.Sprintf("%v; %d to %d failed", results[len(results)/2], lowest, highest)
}

// replaceBoth replaces one instance and then the other. It continues as soon as the new instance accepts
// requests, like a deployment. pause is the time that a new instance takes to start.
func (s setting) replaceBoth(t *testing.T, rate int, pause time.Duration) result {
	t.Helper()
	first, second := newInstance(t), newInstance(t)
	balancer := s.start(t, replace(t, s.config, pageFirst, first.addr, pageSecond, second.addr))
	l := startLoad(t, balancer.Addr(), rate)
	l.await(t, rate)
	first.replace(t, pause)
	second.replace(t, pause)
	l.await(t, 2*rate)
	l.stop()
	r := l.result()
	require.NotZero(t, r.sent)
	return r
}
