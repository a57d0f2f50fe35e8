package rollout

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
	"github.com/stretchr/testify/assert"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// printed returns the output of print.
func printed(r *results) (string, bool) {
	var out bytes.Buffer
	good := r.print(terminal.NewOutput(&out, io.Discard))
	return out.String(), good
}

func TestResultsWithoutRequests(t *testing.T) {
	text, good := printed(&results{began: time.Now()})
	assert.False(t, good, "no request succeeded")
	assert.True(t, strings.HasPrefix(text, "0 of 0 failed\n0 connections were opened;"), text)
}

func TestResultsNameEachFailure(t *testing.T) {
	r := &results{began: time.Now()}
	for range 12_345 {
		r.countRequest()
	}
	r.countConnection()
	r.countAnswer(&client.Answer{Took: 120 * time.Millisecond, Last: true})
	r.countAnswer(&client.Answer{Took: 20 * time.Millisecond})
	r.countFailure(failure{request: 4711, connection: 17, nth: 12, address: "10.0.0.7:8000", at: noon, why: "connection reset"})
	r.countFailure(failure{request: 4712, connection: 17, address: "shop:8000", at: noon.Add(time.Second), why: "connection refused"})
	r.countFailure(failure{request: 4713, connection: 17, address: "shop:8000", at: noon.Add(2 * time.Second), why: "connection refused"})
	text, good := printed(r)
	assert.False(t, good)
	sum, _, _ := strings.Cut(text, "; the slowest")
	assert.Equal(t, `3 of 12,345 failed
  2  connection refused  from 12:00:01.000 to 12:00:02.000
  1  connection reset    from 12:00:00.000 to 12:00:00.000
they were:
  request 4,711 at 12:00:00.000, number 12 of connection 17, to 10.0.0.7:8000: connection reset
  request 4,712 at 12:00:01.000, for which connection 17 could not be opened to shop:8000: connection refused
  request 4,713 at 12:00:02.000, for which connection 17 could not be opened to shop:8000: connection refused
1 connections were opened; 1 answers said "Connection: close"`, sum)
	assert.Regexp(t, `; the slowest answer took 120ms; [\d.]+m?s in all\n$`, text)
}

// The memory for failures and causes is bounded.
func TestResultsAreBounded(t *testing.T) {
	r := &results{began: time.Now()}
	for i := range 10_000 {
		r.countRequest()
		r.countFailure(failure{request: i, at: noon, why: fmt.Sprint("cause ", i)})
	}
	text, _ := printed(r)
	assert.Len(t, r.kinds, kindsLimit+1)
	assert.Len(t, r.failures, firstLimit)
	assert.Contains(t, text, "10,000 of 10,000 failed\n  9,980  other causes ")
	assert.Less(t, strings.Count(text, "\n"), 50)
}
