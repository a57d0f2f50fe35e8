package healthcheck

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// arguments is a set of flags, and the URLs among them.
type arguments struct {
	*flag.FlagSet
	urls    []string
	headers []string
	wrong   error // the first value of a flag that is none
	request requestSettings
}

// requestSettings is what all requests have in common.
type requestSettings struct {
	timeout time.Duration
	header  http.Header
}

func newArguments() *arguments {
	a := &arguments{FlagSet: flag.NewFlagSet("healthcheck", flag.ContinueOnError)}
	a.SetOutput(io.Discard) // what is wrong is in the error
	a.request.timeout = 3 * time.Second
	a.duration("timeout", &a.request.timeout, time.Millisecond, time.Hour)
	// A value may be a secret, so it is judged afterwards, where it is not quoted.
	a.Func("header", "", func(s string) error {
		a.headers = append(a.headers, s)
		return nil
	})
	return a
}

// setting defines a flag with a value. Package flag would quote one that is wrong, whole: where the value was forgotten it is the URL that
// follows, and the URL may have a password.
func (a *arguments) setting(name string, set func(string) error) {
	a.Func(name, "", func(s string) error {
		if err := set(s); err != nil && a.wrong == nil {
			a.wrong = fmt.Errorf("invalid value %q for flag -%s: %w", masked(s), name, err)
		}
		return nil
	})
}

// duration defines a flag that is held to a range.
func (a *arguments) duration(name string, value *time.Duration, least, most time.Duration) {
	a.setting(name, func(s string) (err error) {
		*value, err = time.ParseDuration(s)
		if err != nil {
			return errors.New("a duration has a unit, such as 3s or 500ms")
		}
		return within(*value, least, most)
	})
}

// number defines a flag that is held to 1 and most.
func (a *arguments) number(name string, value *int, most int) {
	a.setting(name, func(s string) (err error) {
		*value, err = strconv.Atoi(s)
		if err != nil {
			return errors.New("it is a whole number")
		}
		return within(*value, 1, most)
	})
}

func within[T cmp.Ordered](value, least, most T) error {
	if value < least || value > most {
		return fmt.Errorf("it is %v to %v", least, most)
	}
	return nil
}

// parse reads flags and URLs, which may come in any order.
func (a *arguments) parse(args []string) error {
	err := a.Parse(args)
	for err == nil && a.NArg() > 0 {
		a.urls = append(a.urls, a.Arg(0))
		err = a.Parse(a.Args()[1:])
	}
	if err = cmp.Or(err, a.wrong); err != nil {
		return err
	}
	a.request.header, err = parseHeader(a.headers)
	if err == nil && len(a.urls) == 0 {
		err = errors.New("it needs a URL, such as http://localhost:8000")
	}
	return err
}

// given reports whether a flag was used.
func (a *arguments) given(name string) bool {
	used := false
	a.Visit(func(f *flag.Flag) { used = used || f.Name == name })
	return used
}

// parseHeader never quotes a value.
func parseHeader(lines []string) (http.Header, error) {
	header := http.Header{"User-Agent": {"echohealth-healthcheck"}}
	for _, line := range lines {
		key, value, found := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case !found:
			return nil, errors.New("--header: it is 'KEY: VALUE', and one has no colon")
		case !isToken(key):
			return nil, fmt.Errorf("--header: the key %q has something else than letters, digits and !#$%%&'*+-.^_`|~", key)
		case !isFieldValue(value):
			return nil, fmt.Errorf("--header: the value of %q has a control character", key)
		case ownHeaders[http.CanonicalHeaderKey(key)]:
			return nil, fmt.Errorf("--header: %q is not to be chosen", key)
		}
		if strings.EqualFold(key, "User-Agent") {
			header.Del(key)
		}
		header.Add(key, value)
	}
	return header, nil
}

// ownHeaders say how a message is sent, and are set by what sends it.
var ownHeaders = map[string]bool{"Connection": true, "Content-Length": true, "Transfer-Encoding": true, "Trailer": true, "Upgrade": true, "Te": true}

// isToken reports whether s is a field name, as in RFC 9110, section 5.6.2.
func isToken(s string) bool {
	return s != "" && strings.Trim(s, letters+digits+"!#$%&'*+-.^_`|~") == ""
}

// isFieldValue reports whether s may be a field's value, as in RFC 9110, section 5.5.
func isFieldValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

const (
	lower   = "abcdefghijklmnopqrstuvwxyz"
	letters = lower + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
)

// isName reports whether s matches [A-Za-z0-9][A-Za-z0-9._-]{0,63}, as the name of a check does.
func isName(s string) bool {
	return s != "" && len(s) <= 64 && strings.IndexByte("._-", s[0]) < 0 && strings.Trim(s, letters+digits+"._-") == ""
}
