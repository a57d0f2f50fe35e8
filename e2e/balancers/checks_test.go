package balancers

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
)

// TestHAProxyChecks shows which answers HAProxy accepts as success with different checks, for an instance
// that is ready and for one that drains. The page contains each of these lines.
func TestHAProxyChecks(t *testing.T) {
	const up, down = "UP", "DOWN"
	tests := []struct {
		name            string
		check           string
		ready, draining string // the state, and the status of the answer
	}{
		{"of the page", checkLines(block(t, "haproxy")), up + " 200", down + " 503"},
		{"no method", "option httpchk /api/health/ready/", down + " 405", down + " 405"},
		{"only a port", "", up, up},
		{"the prefix", "option httpchk GET /api/health/", up + " 200", up + " 200"},
		{"liveness", "option httpchk GET /api/health/live/", up + " 200", up + " 200"},
		{"a word", "option httpchk GET /api/health/ready/\nhttp-check expect string ready", up + " 200", up + " 503"},
		{
			"a quoted word", "option httpchk GET /api/health/ready/\n" + `http-check expect string '"status":"ready"'`,
			up + " 200", down, // HAProxy then reports no status
		},
		{
			"HTTP/1.1 without Host", "option httpchk\nhttp-check send meth GET uri /api/health/ready/ ver HTTP/1.1",
			down + " 400", down + " 400",
		},
		{
			"HTTP/1.1", "option httpchk\nhttp-check send meth GET uri /api/health/ready/ ver HTTP/1.1 hdr Host app",
			up + " 200", down + " 503",
		},
	}
	ready, draining := newInstance(t), newDraining(t)
	config := "backend app\n"
	for i, test := range tests {
		config += fmt.Sprintf("backend check%d\n%s\ndefault-server check inter 100ms fall 1 rise 1\n"+
			"server ready %s\nserver draining %s\n", i, test.check, ready.addr, draining.addr)
	}
	haproxy := startHAProxy(t, config)
	states := awaitChecks(t, haproxy)
	text := readPage(t)
	for i, test := range tests {
		backend := fmt.Sprintf("check%d", i)
		assert.Equal(t, test.ready, states[backend+"/ready"], test.name)
		assert.Equal(t, test.draining, states[backend+"/draining"], test.name)
		for line := range strings.Lines(test.check) {
			line = strings.TrimSpace(line)
			assert.True(t, strings.Contains(text, line), "the page does not have %q", line)
		}
	}
}

// checkLines are the lines of a backend that configure the checks of its servers.
func checkLines(backend string) string {
	var lines []string
	for line := range strings.Lines(backend) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "option httpchk") || strings.HasPrefix(line, "http-check") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// awaitChecks waits until HAProxy has checked each server. It returns the states by backend/server, each with
// the status of the answer to the last check.
func awaitChecks(t *testing.T, haproxy *testserver.Balancer) map[string]string {
	t.Helper()
	states := map[string]string{}
	checked := func() bool {
		complete, err := readStates(haproxy.Addr(), states)
		return err == nil && complete
	}
	require.Eventually(t, checked, time.Minute, 50*time.Millisecond)
	return states
}

// readStates adds the states in HAProxy's statistics to states, and reports whether each server has one. It
// skips a server that was not checked yet, and a server whose next check is running, because its status is 0.
func readStates(addr string, states map[string]string) (complete bool, err error) {
	response, err := http.Get("http://" + addr + "/stats;csv")
	if err != nil {
		return false, err
	}
	defer response.Body.Close()
	rows, err := csv.NewReader(response.Body).ReadAll()
	if err != nil {
		return false, err
	}
	complete = true
	for _, row := range rows[1:] {
		of := map[string]string{}
		for i, column := range rows[0] {
			of[strings.TrimPrefix(column, "# ")] = row[i]
		}
		if of["svname"] == "FRONTEND" || of["svname"] == "BACKEND" {
			continue
		}
		server := of["pxname"] + "/" + of["svname"]
		// A star before the word means that the next check runs.
		if slices.Contains([]string{"L4OK", "L7OK", "L7STS", "L7RSP"}, of["check_status"]) {
			states[server] = strings.TrimSpace(of["status"] + " " + of["check_code"])
		}
		complete = complete && states[server] != ""
	}
	return complete, nil
}
