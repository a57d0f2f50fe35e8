package healthcheck

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// optional is the value of a flag that has no default.
type optional struct {
	value string
	given bool
}

// Set implements flag.Value.
func (o *optional) Set(s string) error {
	*o = optional{value: s, given: true}
	return nil
}

// String implements flag.Value.
func (o *optional) String() string { return o.value }

// fileLimit is the maximum size, in bytes, of a file that a flag names.
const fileLimit = 1 << 20

// readFile returns the content of a file. The text of its error continues a sentence that begins with the
// file's name.
func readFile(name string) ([]byte, error) {
	file, err := os.Open(name)
	var content []byte
	if err == nil {
		defer file.Close()
		content, err = io.ReadAll(io.LimitReader(file, fileLimit+1))
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		err = path.Err // drop the file's name, which may be a secret
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("can't be read: %w", err)
	case len(content) > fileLimit:
		return nil, errors.New("must not be larger than 1 MiB")
	}
	return content, nil
}
