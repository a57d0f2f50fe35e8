package amqpconn

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// ParseBrokerURL parses the URL of one broker, of AMQP or any other, and takes its query apart. Its errors quote the
// URL without user and password.
func ParseBrokerURL(raw string, schemes ...string) (*url.URL, Query, error) {
	u, query, err := parse(raw, schemes)
	if err != nil {
		return nil, nil, InvalidURL(raw, err)
	}
	return u, query, nil
}

func parse(raw string, schemes []string) (*url.URL, Query, error) {
	if strings.ContainsFunc(raw, unicode.IsSpace) {
		return nil, nil, errors.New("it must not contain white space")
	}
	if severalBrokers(raw) {
		return nil, nil, errors.New("it names several brokers: give the URL of one, and make a check for each")
	}
	u, err := url.Parse(raw)
	if err != nil || strayAt(raw) {
		// The parser's own error quotes parts of the URL, the password among them.
		return nil, nil, errors.New("it can't be parsed: in user and password all but letters, digits and -._~ must be percent-encoded, " +
			"and so must an @ or # anywhere else")
	}
	if !slices.Contains(schemes, u.Scheme) {
		return nil, nil, fmt.Errorf("its scheme must be one of %s", strings.Join(schemes, ", "))
	}
	if !strings.HasPrefix(raw[len(u.Scheme):], "://") {
		return nil, nil, fmt.Errorf("its scheme must be followed by ://, as in %s://host", u.Scheme)
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			return nil, nil, errors.New("its port must be 1 to 65535")
		}
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, nil, errors.New("its query can't be parsed: write name=value&name=value, percent-encoded")
	}
	return u, Query(query), nil
}

// strayAt recognizes that what was parsed as a port, a path, a query or a fragment is the rest of a password: in "amqp://app:1?a@rabbit"
// the host would be app.
func strayAt(raw string) bool {
	_, rest, _ := strings.Cut(raw, "://")
	end := strings.IndexAny(rest, "/?#")
	return end >= 0 && strings.ContainsAny(rest[end:], "@#")
}

// severalBrokers recognizes Celery's list of brokers to fail over to, "amqp://a;amqp://b" or "amqp://a;b", which the
// parsers of URLs take for one strange host.
func severalBrokers(raw string) bool {
	_, rest, _ := strings.Cut(raw, "://")
	first, _, several := strings.Cut(rest, ";")
	return several && (strings.Contains(rest, "://") || !strings.Contains(rest, "@") || strings.Contains(first, "@"))
}

// InvalidURL is err with the URL that it is about, quoted without user and password.
func InvalidURL(raw string, err error) error {
	return fmt.Errorf("broker URL %q: %w", RedactURL(raw), err)
}

// RedactURL is raw with *** for everything before the last @ and for the query, where passwords may be too. Where
// there is no @, and the URL can't be parsed, nobody can say which part is the password: then *** is for all after the scheme.
func RedactURL(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return "***"
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = "***" + rest[at:]
	} else if _, err := url.Parse(raw); err != nil {
		return scheme + "://***"
	}
	if place, _, ok := strings.Cut(rest, "?"); ok {
		rest = place + "?***"
	}
	return scheme + "://" + rest
}

// Query is a URL's query. Whoever understands an option takes it out, so that what is left over at the end is known to
// be understood by nobody.
type Query url.Values

// Take removes the option that goes by these names and returns its value, "" where it is absent.
func (q Query) Take(names ...string) string {
	value := ""
	for _, name := range names {
		if v := url.Values(q).Get(name); v != "" {
			value = v
		}
		delete(q, name)
	}
	return value
}

// TakeDuration removes the option and returns its value, 0 where it is absent. The value must be a whole
// number of units, which are time.Second or time.Millisecond, at least 1 and at most a year. An error quotes
// it.
func (q Query) TakeDuration(name string, unit time.Duration) (time.Duration, error) {
	const year = 365 * 24 * time.Hour
	words := "of seconds "
	if unit == time.Millisecond {
		words = "of milliseconds "
	}
	n, _, err := q.takeNumber(name, words, 1, int64(year/unit))
	return time.Duration(n) * unit, err
}

// takeNumber removes the option and returns its value, and whether it is given. Unit is for the error.
func (q Query) takeNumber(name, unit string, least, most int64) (n int64, given bool, err error) {
	value := q.Take(name)
	if value == "" {
		return 0, false, nil
	}
	n, err = strconv.ParseInt(value, 10, 64)
	if err != nil || n < least || n > most {
		return 0, true, fmt.Errorf("%s=%q: it must be a whole number %sfrom %d to %d",
			name, value, unit, least, most)
	}
	return n, true, nil
}

// Rest returns an error that names the options that nobody took.
func (q Query) Rest() error {
	if len(q) == 0 {
		return nil
	}
	names := make([]string, 0, len(q))
	for name := range q {
		names = append(names, strconv.Quote(name))
	}
	slices.Sort(names)
	return fmt.Errorf("unknown option %s", strings.Join(names, ", "))
}
