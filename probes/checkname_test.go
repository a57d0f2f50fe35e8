package probes_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/echo-probes/echohealth/probes"
)

func TestCheckName(t *testing.T) {
	name, ok := probes.CheckName(t.Context())
	assert.False(t, ok)
	assert.Empty(t, name)
	ctx, cancel := context.WithCancel(probes.WithCheckName(t.Context(), "database"))
	defer cancel()
	name, ok = probes.CheckName(ctx)
	assert.True(t, ok)
	assert.Equal(t, "database", name)
	assert.Zero(t, testing.AllocsPerRun(100, func() { probes.CheckName(ctx) }))
}
