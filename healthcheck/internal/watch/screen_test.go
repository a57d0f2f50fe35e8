package watch

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/outcome"
	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var at = time.Date(2026, 11, 25, 14, 3, 22, 0, time.UTC)

// replica returns an outcome of the address 10.0.0.n.
func replica(t *testing.T, n, status int, body string) outcome.Outcome {
	t.Helper()
	origin, err := client.ParseTarget("http://shop:8000")
	require.NoError(t, err)
	address := origin.OrBelow("ready/").WithAddress(netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}))
	return outcome.Judge(client.Settings{}, address, &client.Answer{Status: status, Body: []byte(body), Took: time.Duration(n) * time.Millisecond})
}

func (v view) plain(width, height int) string {
	return strings.Join(v.draw(&terminal.Output{}, width, height), "\n")
}

func TestScreenOfOneReplica(t *testing.T) {
	v := view{title: "http://shop:8000/api/health/ready/", interval: 2 * time.Second, at: at, outcomes: []outcome.Outcome{
		replica(t, 3, 503, `{"status":"not_ready","checks":{"database":{"status":"ok","response_time_ms":0.31,"pool_max":4,"pool_idle":3},`+
			`"redis":{"status":"error","reason":"connection_refused","response_time_ms":12.5}}}`),
	}}
	detailed := replica(t, 3, 200, "").Target
	detailed.Statuses = nil
	dated := view{title: v.title, interval: v.interval, at: at, outcomes: []outcome.Outcome{
		outcome.Judge(client.Settings{}, detailed, &client.Answer{Status: 200, Took: 3 * time.Millisecond, Body: []byte(`{"status":"unhealthy","timestamp":"2026-11-25T10:00:00Z","phase":"draining","checks":{` +
			`"database":{"status":"ok","response_time_ms":0.31,"since":"2026-11-25T08:00:00Z","pool_max":4},` +
			`"redis":{"status":"error","reason":"timeout","response_time_ms":800,"since":"2026-11-25T09:55:50Z"}}}`)}),
	}}
	assert.Equal(t, `14:03:22  every 2s  http://shop:8000/api/health/ready/

unhealthy draining  3.0ms  http://shop:8000/api/health/ready/
  database  ok                                    0.31ms  pool_max=4
  redis     error  timeout  for 4m10s (never ok)  800ms`, dated.plain(80, 24))
	assert.Equal(t, `14:03:22  every 2s  http://shop:8000/api/health/ready/

not_ready  3.0ms  http://shop:8000/api/health/ready/
  database  ok                         0.31ms  pool_max=4 pool_idle=3
  redis     error  connection_refused  12.5ms`, v.plain(80, 24))
}

func TestScreenOfReplicas(t *testing.T) {
	dated := view{outcomes: []outcome.Outcome{
		replica(t, 7, 200, `{"status":"ready","timestamp":"2026-11-25T10:00:00Z","checks":{"redis":{"status":"ok","since":"2026-11-25T09:55:50Z"}}}`),
		replica(t, 8, 503, `{"status":"not_ready","timestamp":"2026-11-25T10:00:00Z","checks":{"redis":{"status":"error","reason":"timeout","since":"2026-11-25T09:55:50Z"}}}`),
	}}
	assert.Contains(t, dated.plain(80, 24), `
REPLICA        STATUS     TIME   redis
10.0.0.7:8000  ready      7.0ms  ok
10.0.0.8:8000  not_ready  8.0ms  timeout 4m10s`)
	v := view{title: "http://shop:8000/api/health/ready/", interval: 2 * time.Second, at: at, outcomes: []outcome.Outcome{
		replica(t, 7, 200, `{"status":"ready","version":"1.4","checks":{"database":{"status":"ok"},"redis":{"status":"ok"}}}`),
		replica(t, 8, 503, `{"status":"not_ready","version":"1.5","checks":{"database":{"status":"ok"},"redis":{"status":"error","reason":"timeout"},"queue":{"status":"warning","reason":"backlog"}}}`),
		{Target: replica(t, 9, 200, "").Target, Level: health.Failing, Problem: "connection refused"},
		replica(t, 10, 503, `{"status":"not_ready","reason":"draining","version":"1.4"}`),
	}}
	assert.Equal(t, `14:03:22  every 2s  http://shop:8000/api/health/ready/

REPLICA         STATUS              TIME   VERSION  database  redis    queue
10.0.0.7:8000   ready               7.0ms  1.4      ok        ok
10.0.0.8:8000   not_ready           8.0ms  1.5      ok        timeout  backlog
10.0.0.9:8000   connection refused
10.0.0.10:8000  not_ready draining  10ms   1.4`, v.plain(80, 24))
	assert.Equal(t, `14:03:22  every 2s  http://shop:8000/api/health/ready/

REPLICA         STATUS              TIME   VERSION  redis    queue
10.0.0.7:8000   ready               7.0ms  1.4      ok
10.0.0.8:8000   not_ready           8.0ms  1.5      timeout  backlog
10.0.0.9:8000   connection refused
10.0.0.10:8000  not_ready draining  10ms   1.4

checks that are ok in all rows: 1`, v.plain(70, 24))
	assert.Equal(t, `14:03:22  every 2s  http://shop:8000/api/health/ready/

REPLICA         STATUS              TIME   VERSION  red…
10.0.0.8:8000   not_ready           8.0ms  1.5      tim…
10.0.0.9:8000   connection refused
10.0.0.10:8000  not_ready draining  10ms   1.4

… and 1 more, 0 of them not well; checks that are ok in…`, v.plain(56, 9))
	v.notAsked = 3
	assert.Contains(t, v.plain(80, 9), "\n\n… and 1 more, 0 of them not well; replicas that are not asked: 3")
}

// Replicas with the same address have their URLs as labels.
func TestScreenOfURLsAtOneAddress(t *testing.T) {
	var v view
	for _, raw := range []string{"http://shop/a", "http://shop/b"} {
		target, err := client.ParseTarget(raw)
		require.NoError(t, err)
		v.outcomes = append(v.outcomes, outcome.Judge(client.Settings{}, target, &client.Answer{Status: 200, Body: []byte(`{"status":"ready"}`)}))
	}
	assert.Contains(t, v.plain(80, 24), "\nhttp://shop/a  ready   0.0ms\nhttp://shop/b  ready   0.0ms")
}

// A screen must not have more lines or columns than the terminal, or the terminal would scroll.
func TestScreenFits(t *testing.T) {
	var v view
	v.title = strings.Repeat("title", 100)
	for n := range 100 {
		checks := make([]string, n)
		for i := range checks {
			checks[i] = fmt.Sprintf(`"check%d":{"status":"warning","reason":"slow"}`, i)
		}
		v.outcomes = append(v.outcomes, replica(t, n, 200, `{"status":"ready","checks":{`+strings.Join(checks, ",")+`}}`))
	}
	for _, height := range []int{2, 3, 5, 10, 50, 500} {
		for _, width := range []int{1, 10, 80, 5000} {
			for _, some := range [][]outcome.Outcome{v.outcomes, v.outcomes[40:41], v.outcomes[:3]} {
				v.outcomes, some = some, v.outcomes
				lines := v.draw(&terminal.Output{}, width, height)
				v.outcomes = some
				assert.LessOrEqual(t, len(lines), height-1)
				for _, line := range lines {
					assert.LessOrEqual(t, utf8.RuneCountInString(line), width)
				}
			}
		}
	}
}
