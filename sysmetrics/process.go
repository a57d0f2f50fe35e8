package sysmetrics

import (
	"errors"
	"io"
	"io/fs"
	"runtime"
	"runtime/metrics"
	"time"
)

var started = time.Now()

func measureProcess(files fs.FS) Process {
	return Process{
		Goroutines:   runtime.NumGoroutine(),
		Uptime:       time.Since(started),
		HeapBytes:    heapBytes(),
		OpenFiles:    openFiles(files),
		MaxOpenFiles: maxOpenFiles(),
	}
}

// heapBytes uses runtime/metrics, because runtime.ReadMemStats stops the world.
func heapBytes() Figure[uint64] {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	if sample[0].Value.Kind() != metrics.KindUint64 {
		return Figure[uint64]{Err: ErrUnsupported} // a later Go version may remove the metric
	}
	return Figure[uint64]{Value: sample[0].Value.Uint64()}
}

// openFiles returns the number of open file descriptors. Since Linux 6.2 this is the size of /proc/self/fd,
// which costs the same for any number of them. Before Linux 6.2 the size is 0, so openFiles counts the
// entries.
func openFiles(files fs.FS) Figure[int] {
	if files == nil {
		return Figure[int]{Err: ErrUnsupported}
	}
	const name = "proc/self/fd"
	info, err := fs.Stat(files, name)
	if err != nil {
		return Figure[int]{Err: err}
	}
	if n := info.Size(); n > 0 {
		return Figure[int]{Value: int(n)}
	}
	n, err := countEntries(files, name)
	// One of the entries is the descriptor that countEntries opened to read the directory.
	return Figure[int]{Value: max(0, n-1), Err: err}
}

// countEntries counts the entries of a directory. It reads 256 at a time, so that its memory does not grow
// with their number.
func countEntries(files fs.FS, name string) (int, error) {
	f, err := files.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	dir, ok := f.(fs.ReadDirFile)
	if !ok {
		return 0, ErrUnsupported
	}
	for n := 0; ; {
		entries, err := dir.ReadDir(256)
		n += len(entries)
		switch {
		case errors.Is(err, io.EOF):
			return n, nil
		case err != nil:
			return 0, err
		}
	}
}
