package certprobe

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/echo-probes/echohealth/probes"
)

// validPath returns an error for a path that can't be valid. The error does not quote a text that may be a
// private key.
func validPath(path string) error {
	switch {
	case path == "":
		return errors.New(`certprobe.File(""): the path must not be empty`)
	case strings.Contains(path, "-----BEGIN"), strings.ContainsAny(path, "\n\x00"):
		return errors.New("certprobe.File(…): the path must be that of a file, not its text")
	case strings.Contains(path, "://"):
		return fmt.Errorf("certprobe.File(%q): the path must be that of a file, not a URL", hidden(path))
	}
	return nil
}

// maxFile is how many bytes a file may have. A bundle of all public authorities has 220 KB.
const maxFile = 4 << 20

func readFile(path string) ([][]*x509.Certificate, error) {
	text, err := read(path)
	if err != nil {
		return nil, err
	}
	chain, err := parseFile(text)
	if err != nil {
		return nil, probes.Fail(probes.ReasonMisconfigured, fmt.Errorf("%s: %w", path, err))
	}
	return [][]*x509.Certificate{chain}, nil
}

// read returns the bytes of a file. It refuses a file that is not regular before it opens the file, because
// opening a pipe would wait for a writer.
func read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	refuse := func(rule string) ([]byte, error) {
		return nil, probes.Fail(probes.ReasonMisconfigured, fmt.Errorf("%s: %s", path, rule))
	}
	if !info.Mode().IsRegular() {
		return refuse("it must be a regular file")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxFile+1))
	if err == nil && len(text) > maxFile {
		return refuse("it must have at most 4 MB")
	}
	return text, err
}

const (
	certificateType = "CERTIFICATE"
	beginning       = "-----BEGIN " + certificateType + "-----"
)

// parseFile returns the certificates of a file in PEM or DER.
func parseFile(text []byte) ([]*x509.Certificate, error) {
	blocks := bytes.Count(text, []byte(beginning))
	if blocks == 0 {
		if bytes.Contains(text, []byte("-----BEGIN ")) {
			return nil, errors.New("there is no certificate in the file")
		}
		chain, err := x509.ParseCertificates(text)
		if err != nil || len(chain) == 0 {
			return nil, errors.New("there is no certificate in PEM or DER in the file")
		}
		return chain, nil
	}
	var chain [][]byte
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == certificateType {
			chain = append(chain, block.Bytes)
		}
	}
	if len(chain) < blocks { // pem.Decode skips malformed blocks and an incomplete last block
		return nil, fmt.Errorf("%d of %d certificates are not valid PEM", blocks-len(chain), blocks)
	}
	return parse(chain)
}
