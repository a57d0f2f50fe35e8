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
		return Figure[uint64]{Err: ErrUnsupported} // a later Go may drop a metric
	}
	return Figure[uint64]{Value: sample[0].Value.Uint64()}
}

// openFiles is the size of /proc/self/fd, which is their number since Linux 6.2. Its cost does not depend on
// their number. Before Linux 6.2 the size is 0, and the entries are counted.
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
	return Figure[int]{Value: max(0, n-1), Err: err} // without the descriptor that was opened to count
}

// countEntries reads 256 entries at a time, so that many entries take no more memory than a few.
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
