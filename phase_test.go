package echohealth

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestAPhaseBeginsOnce(t *testing.T) {
	ungated := &lifecycle{}
	assert.True(t, ungated.started())
	assert.False(t, ungated.open(), "there is no gate")

	l := &lifecycle{gated: true, drained: make(chan struct{})}
	assert.False(t, l.started())
	assert.True(t, l.open())
	assert.True(t, l.started())
	assert.False(t, l.open())

	assert.True(t, l.drain(0))
	assert.True(t, l.isDrained())
	assert.False(t, l.drain(time.Hour))
}
