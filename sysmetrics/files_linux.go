package sysmetrics

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

func ownFiles() fs.FS { return rootFS{} }

// rootFS is like os.DirFS("/"), but is for files in /proc and in control groups, which can't be polled.
// os.Open would try to add each file to the runtime's poller, which doubles the cost of reading a file.
type rootFS struct{}

func (r rootFS) Open(name string) (fs.File, error) {
	d, err := r.descriptor(name)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(d.fd), name), nil
}

// open does not make an os.File, because that costs as much as reading a short file.
func (r rootFS) open(name string) (io.ReadCloser, error) {
	return r.descriptor(name)
}

func (rootFS) descriptor(name string) (descriptor, error) {
	if !fs.ValidPath(name) {
		return descriptor{}, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	fd, err := uninterrupted(func() (int, error) { return unix.Open("/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0) })
	if err != nil {
		return descriptor{}, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return descriptor{fd: fd, name: name}, nil
}

// A descriptor is an open file. Only one goroutine may use it.
type descriptor struct {
	fd   int
	name string
}

func (d descriptor) Read(p []byte) (int, error) {
	n, err := uninterrupted(func() (int, error) { return unix.Read(d.fd, p) })
	switch {
	case err != nil:
		return 0, &fs.PathError{Op: "read", Path: d.name, Err: err}
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

func (d descriptor) Close() error { return unix.Close(d.fd) }

// uninterrupted repeats a call until no signal interrupts it. Go preempts goroutines by signals, for example.
func uninterrupted(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// Stat does not open the file. An open file would count when the file is /proc/self/fd.
func (rootFS) Stat(name string) (fs.FileInfo, error) { return os.Stat("/" + name) }
