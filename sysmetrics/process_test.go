package sysmetrics

import (
	"fmt"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
)

func TestOpenFiles(t *testing.T) {
	files := fstest.MapFS{}
	for i := range 1000 {
		set(files, fmt.Sprintf("proc/self/fd/%d", i), "")
	}
	assert.Equal(t, Figure[int]{Value: 999}, openFiles(files), "all except the file that the count opens")
	assert.Equal(t, Figure[int]{Value: 7}, openFiles(fixture("proc/self/fd", "7 bytes")), "a size spares counting")
	assert.ErrorIs(t, openFiles(fixture()).Err, fs.ErrNotExist)
	assert.Equal(t, Figure[int]{Err: ErrUnsupported}, openFiles(nil))
	assert.ErrorIs(t, openFiles(fixture("proc/self/fd", "")).Err, ErrUnsupported, "not a directory")
}

func TestProcess(t *testing.T) {
	p := measureProcess(nil)
	assert.Positive(t, p.Goroutines)
	assert.Positive(t, p.Uptime)
	assert.NoError(t, p.HeapBytes.Err)
	assert.Greater(t, p.HeapBytes.Value, uint64(10*kib))
}
