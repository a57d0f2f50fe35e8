package sysmetrics

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

func ownFiles() fs.FS { return rootFS{} }

// rootFS is os.DirFS("/") for files that cannot be polled. os.Open would add each of them to the runtime's
// poller and remove it again, which doubles the cost of reading it.
type rootFS struct{}

func (r rootFS) Open(name string) (fs.File, error) {
	d, err := r.descriptor(name)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(d.fd), name), nil
}

// open makes no os.File, which would cost as much as reading a short file.
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

// A descriptor is an open file. Only one goroutine may read it.
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

// uninterrupted repeats a call that a signal has interrupted, such as those by which Go preempts goroutines.
func uninterrupted(call func() (int, error)) (int, error) {
	for {
		if n, err := call(); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// Stat does not open the file, which would count in the directory of open files.
func (rootFS) Stat(name string) (fs.FileInfo, error) { return os.Stat("/" + name) }
