package echohealth

import (
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// earlierByTheWall returns the time at as if it had been taken before a suspension of a day, during which the
// monotonic clock did not advance. No function of package time makes such a Time, so its wall seconds are
// changed in place.
func earlierByTheWall(t *testing.T, at time.Time) time.Time {
	before := at
	*(*uint64)(unsafe.Pointer(&before)) -= 24 * 60 * 60 << 30
	require.Zero(t, at.Sub(before), "by the monotonic clock")
	require.Equal(t, 24*time.Hour, at.Round(0).Sub(before.Round(0)), "by the wall clock")
	return before
}

// After the machine was suspended, an answer from before the suspension is not used again.
func TestAnAnswerFromBeforeASuspension(t *testing.T) {
	c := &cached{due: time.Now().Add(time.Hour)}
	assert.True(t, c.serves(0))
	c.due = earlierByTheWall(t, c.due)
	assert.False(t, c.serves(0))
}
