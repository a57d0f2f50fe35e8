package engine_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/engine"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/require"
)

// After Rerun, Recent must not return the result of a probe call that began before, whenever the new call
// ends.
func TestRecentAfterRerun(t *testing.T) {
	var status atomic.Value
	status.Store(probes.OK)
	probe := &script{do: func(context.Context, int64) probes.Result {
		return probes.Result{Status: status.Load().(probes.Status)}
	}}
	e := engine.New([]engine.Config{{Name: "a", Probe: probe, Timeout: time.Minute, Freshness: time.Hour}}, &journal{})
	defer e.Close(time.Second)
	check := e.Checks()[0]
	began := time.Now()
	for i := range 10_000 {
		want := probes.OK
		if i%2 == 0 {
			want = probes.Error
		}
		status.Store(want)
		check.Rerun()
		for try := 0; ; try++ {
			if result := check.Recent(time.Now(), time.Minute); result != nil {
				require.Equal(t, want, result.Status, "round %d, try %d, after %s", i, try, time.Since(began))
				break
			}
		}
	}
}
