package echohealth_test

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
)

// The context of a run has the name of its check. The context of a request has no name.
func TestCheckNameOfARun(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	probe := probes.Func(func(ctx context.Context) error {
		mu.Lock()
		defer mu.Unlock()
		name, ok := probes.CheckName(ctx)
		assert.True(t, ok)
		seen = append(seen, name)
		return nil
	})
	h := newHealth(t, quiet, echohealth.WithDatabase(probe), echohealth.WithCheck("search", probe), echohealth.WithoutSystemMetrics())
	get(h, "/api/health/detailed/")
	assert.ElementsMatch(t, []string{"database", "search"}, seen)
}
