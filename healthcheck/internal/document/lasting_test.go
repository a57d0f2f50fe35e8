package document

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestSpans(t *testing.T) {
	for want, d := range map[string]time.Duration{
		"1s":   1900 * time.Millisecond,
		"4m0s": 4 * time.Minute,
		"1h0m": time.Hour + 59*time.Second,
		"3d4h": 76*time.Hour + time.Minute,
	} {
		assert.Equal(t, want, span(d))
	}
}
