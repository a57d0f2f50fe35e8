package sysmetrics

import (
	"io/fs"
	"testing"
	"testing/fstest"
	"testing/synctest"

	"github.com/stretchr/testify/require"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30
)

// fakeHost is a machine of 1 GiB, of which 800 MiB are available, with an idle processor and 17 connections.
func fakeHost(files fs.FS) machine {
	return machine{
		files:       files,
		cpu:         func() (cpuTimes, error) { return cpuTimes{}, nil },
		memory:      func() (hostMemory, error) { return hostMemory{total: gib, available: 800 * mib}, nil },
		connections: func() (int, error) { return 17, nil },
		statfs:      func(string) (space, error) { return space{total: 100, used: 50, free: 50}, nil },
	}
}

// fixture makes a file system from pairs of a name and a content.
func fixture(pairs ...string) fstest.MapFS {
	files := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		set(files, pairs[i], pairs[i+1])
	}
	return files
}

func set(files fstest.MapFS, name, content string) {
	files[name] = &fstest.MapFile{Data: []byte(content)}
}

func sampler(t *testing.T, m machine, disks ...DiskPath) *Sampler {
	t.Helper()
	s, err := newSampler(Options{Disks: disks}, m)
	require.NoError(t, err)
	return s
}

// sampled takes one sample in a bubble in which no time passes. Otherwise maxWait could end on a busy
// machine.
func sampled(t *testing.T, m machine, disks ...DiskPath) (sample *Sample) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { sample = sampler(t, m, disks...).Sample() })
	return sample
}
