package sysmetrics

import (
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// After the machine resumes, the figures must be measured again. The monotonic clock does not advance during
// a suspension. No function of package time makes such a Time, so the test changes the wall seconds in the
// Time itself.
func TestASampleFromBeforeASuspension(t *testing.T) {
	now := time.Now()
	before := now
	*(*uint64)(unsafe.Pointer(&before)) -= 24 * 60 * 60 << 30
	require.Zero(t, now.Sub(before), "by the monotonic clock")
	require.Equal(t, 24*time.Hour, now.Round(0).Sub(before.Round(0)), "by the wall clock")
	assert.True(t, (&Sample{At: now.Add(time.Hour)}).serves())
	assert.False(t, (&Sample{At: before.Add(time.Hour)}).serves())
}
