package sysmetrics

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"sync"
)

// maxFile limits how many bytes readFile reads. The largest file that it reads, memory.stat, has about 2 KB.
const maxFile = 64 << 10

// readFile reads a file of at most maxFile bytes.
func readFile(files fs.FS, name string) (string, error) {
	return readCapped(files, name, maxFile)
}

// readCapped reads a whole file. If the file has more than limit bytes, it returns an error.
func readCapped(files fs.FS, name string, limit int) (string, error) {
	f, err := open(files, name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text := buffers.Get().(*bytes.Buffer)
	defer giveBack(text)
	if _, err := text.ReadFrom(io.LimitReader(f, int64(limit)+1)); err != nil {
		return "", err
	}
	if text.Len() > limit {
		return "", fmt.Errorf("/%s is too large: sysmetrics reads at most %d bytes of it", name, limit)
	}
	return text.String(), nil
}

// An opener opens files only for reading. Its method open costs less than fs.FS.Open, whose result must have
// a Stat method too.
type opener interface {
	open(name string) (io.ReadCloser, error)
}

func open(files fs.FS, name string) (io.ReadCloser, error) {
	if o, ok := files.(opener); ok {
		return o.open(name)
	}
	return files.Open(name)
}

// buffers holds the buffers that readCapped reuses.
var buffers = sync.Pool{New: func() any { return bytes.NewBuffer(make([]byte, 0, 4<<10)) }}

// giveBack makes a buffer available for the next file. It drops a buffer that an unusually large file has
// made large.
func giveBack(b *bytes.Buffer) {
	if b.Cap() <= maxFile {
		b.Reset()
		buffers.Put(b)
	}
}

// parseCount parses a number from the file called name. If text is not a number, the error quotes at most 40
// characters of it, so that garbage does not fill the log. A number of 2^63 or more is an error too, because
// it is a counter that fell below zero.
func parseCount(name, text string) (uint64, error) {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%s: %.40q is not a count", name, text)
	}
	return n, nil
}

var errNoKey = errors.New("the file has no line with this name")

func readKeyed(files fs.FS, name, key string) (uint64, error) {
	text, err := readFile(files, name)
	if err != nil {
		return 0, err
	}
	return keyed(name, text, key)
}

// keyed returns the count in the line "KEY COUNT" of a file's text.
func keyed(name, text, key string) (uint64, error) {
	for line := range strings.Lines(text) {
		if k, v, _ := strings.Cut(line, " "); k == key {
			return parseCount(name, v)
		}
	}
	return 0, fmt.Errorf("%s: %s: %w", name, key, errNoKey)
}

func readCount(files fs.FS, name string) (uint64, error) {
	text, err := readFile(files, name)
	if err != nil {
		return 0, err
	}
	return parseCount(name, text)
}
