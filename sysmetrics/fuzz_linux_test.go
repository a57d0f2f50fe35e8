package sysmetrics

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

// FuzzZFS verifies that the memory of ZFS's cache never exceeds the range of the available memory, with any
// content of arcstats.
func FuzzZFS(f *testing.F) {
	f.Add("9 1 0x01 147 39984 1 2\nname type data\nc_min 4 8447893888\nsize 4 214748364800\n")
	f.Add("size 4 18446744073709551615\nc_min 4 -1\n")
	f.Fuzz(func(t *testing.T, arcstats string) {
		assert.LessOrEqual(t, shrinkable(arcstats), uint64(math.MaxInt64))
	})
}
