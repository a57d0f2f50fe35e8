package client

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// ParseHeader parses lines such as "KEY: VALUE" into a header. Its errors never quote a value, because a
// value may be a secret.
func ParseHeader(lines []string) (http.Header, error) {
	header := http.Header{"User-Agent": {"echohealth-healthcheck"}}
	for _, line := range lines {
		key, value, found := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case !found:
			return nil, errors.New("--header: it must be 'KEY: VALUE', and one has no colon")
		case !isToken(key):
			const rule = "--header: the key %q must have only letters, digits and !#$%%&'*+-.^_`|~"
			return nil, fmt.Errorf(rule, key)
		case !isFieldValue(value):
			return nil, fmt.Errorf("--header: the value of %q must not have a control character", key)
		case ownHeaders[http.CanonicalHeaderKey(key)]:
			return nil, fmt.Errorf("--header: %q must not be set", key)
		}
		if strings.EqualFold(key, "User-Agent") {
			header.Del(key)
		}
		header.Add(key, value)
	}
	return header, nil
}

// ownHeaders are the headers that the client itself sets, because they control the transfer of a message.
var ownHeaders = map[string]bool{
	"Connection": true, "Content-Length": true, "Transfer-Encoding": true,
	"Trailer": true, "Upgrade": true, "Te": true,
}

// isToken reports whether s is a valid field name (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	return s != "" && strings.Trim(s, text.Letters+text.Digits+"!#$%&'*+-.^_`|~") == ""
}

// isFieldValue reports whether s is a valid field value (RFC 9110, section 5.5).
func isFieldValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}
