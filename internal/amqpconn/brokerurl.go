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

	"github.com/echo-probes/echohealth/internal/duration"
)

// SplitURLs returns the URLs of Celery's failover list, such as "amqp://a;amqp://b", in their order. It
// returns at least one URL. A semicolon separates two URLs only if a scheme and "://" follow it, or if the
// host of a URL stands before it, because a password can contain semicolons. After a host it may be followed
// by a host name alone, as in "amqp://app:secret@a/orders;b". As in kombu's Connection.switch, that stands
// for the first URL with another host.
func SplitURLs(raw string) []string {
	var urls []string
	for _, part := range splitAtSchemes(raw) {
		url, names := cutNames(part)
		urls = append(urls, url)
		for _, name := range names {
			urls = append(urls, withHost(urls[0], name))
		}
	}
	return urls
}

// splitAtSchemes splits a list at each semicolon that a scheme and "://" follow.
func splitAtSchemes(raw string) []string {
	var parts []string
	for at := 0; ; {
		i := strings.IndexByte(raw[at:], ';')
		if i < 0 {
			return append(parts, raw)
		}
		at += i + 1
		if beginsWithScheme(raw[at:]) {
			parts, raw, at = append(parts, raw[:at-1]), raw[at:], 0
		}
	}
}

// cutNames returns a URL without the host names that follow it, and these names. If one of them is not a host
// name, or if Celery takes none for the transport, it returns raw and no names. It does the same if the
// semicolon may be a part of a password in the query, which must not become the name of a host.
func cutNames(raw string) (url string, names []string) {
	scheme, _, found := strings.Cut(raw, "://")
	if !found || strings.Contains(scheme, "+") || strings.EqualFold(scheme, "sentinel") {
		return raw, nil
	}
	host := max(strings.LastIndexByte(raw, '@'), len(scheme))
	url, list, found := strings.Cut(raw[host:], ";")
	if !found {
		return raw, nil
	}
	if _, query, _ := strings.Cut(url, "?"); strings.Contains(query, "password=") {
		return raw, nil
	}
	names = strings.Split(list, ";")
	for _, name := range names {
		if name == "" || strings.Trim(name, letters+"0123456789.-_") != "" {
			return raw, nil
		}
	}
	return raw[:host] + url, names
}

// withHost returns the URL with another host.
func withHost(url, name string) string {
	scheme, rest, _ := strings.Cut(url, "://")
	start := strings.LastIndexByte(rest, '@') + 1
	end := start + len(rest[start:])
	if i := strings.IndexAny(rest[start:], "/?#"); i >= 0 {
		end = start + i
	}
	port := ""
	if i := strings.LastIndexByte(rest[start:end], ':'); i > strings.LastIndexByte(rest[start:end], ']') {
		port = rest[start+i : end]
	}
	return scheme + "://" + rest[:start] + name + port + rest[end:]
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// beginsWithScheme reports whether text begins with a URL's scheme and "://". It does not use package regexp,
// which would make the program 256 KB larger.
func beginsWithScheme(text string) bool {
	scheme, _, found := strings.Cut(text, "://")
	return found && scheme != "" && strings.Trim(scheme[:1], letters) == "" &&
		strings.Trim(scheme, letters+"0123456789+.-") == ""
}

// ParseBrokerURL parses the URL of one broker, and its query. The URL must have one of the schemes. An error
// quotes the URL without user and password.
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
		return nil, nil, errors.New("it names several brokers: each must be a whole URL, " +
			"as in amqp://a;amqp://b, or a host name without a port")
	}
	u, err := url.Parse(raw)
	if err != nil || strayAt(raw) {
		// The URL parser's error is not used, because it quotes parts of the URL, and so perhaps the password.
		return nil, nil, errors.New("it can't be parsed: in user and password all but letters, digits and -._~ " +
			"must be percent-encoded, and so must an @ or # anywhere else")
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

// strayAt reports whether an @ or # follows the host, as in "amqp://app:1?a@rabbit". Such a URL has a
// character in its password that is not percent-encoded: the URL parser takes app for the host, and the rest
// of the password for a port and a query.
func strayAt(raw string) bool {
	_, rest, _ := strings.Cut(raw, "://")
	end := strings.IndexAny(rest, "/?#")
	return end >= 0 && strings.ContainsAny(rest[end:], "@#")
}

// severalBrokers reports whether raw is a failover list, as in "amqp://a;amqp://b" or "amqp://a;b:5672". The
// URL parser would accept the list as one host.
func severalBrokers(raw string) bool {
	_, rest, _ := strings.Cut(raw, "://")
	first, _, several := strings.Cut(rest, ";")
	return several &&
		(strings.Contains(rest, "://") || !strings.Contains(rest, "@") || strings.Contains(first, "@"))
}

// InvalidURL returns err with a prefix that quotes the URL without user and password.
func InvalidURL(raw string, err error) error {
	return fmt.Errorf("broker URL %q: %w", RedactURL(raw), err)
}

// RedactURL returns raw with *** in place of the user and password, which end at the last @, and in place of
// the query, which can contain passwords too. If there is no @ and the URL can't be parsed, the password can
// be anywhere, and *** replaces everything after the scheme.
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

// Query is the query of a broker's URL. Its methods remove each option that they read. The options that
// remain at the end are unknown.
type Query url.Values

// Take removes an option, which may have several names, and returns its value. It returns "" if the option is
// absent.
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

// TakeDuration removes the option and returns its value, or 0 if the option is absent. The value must be a
// whole number of units, at least one unit and at most a year. unit must be time.Second or time.Millisecond.
// An error quotes the value.
func (q Query) TakeDuration(name string, unit time.Duration) (time.Duration, error) {
	words := "of seconds "
	if unit == time.Millisecond {
		words = "of milliseconds "
	}
	n, _, err := q.takeNumber(name, words, 1, int64(duration.Longest/unit))
	return time.Duration(n) * unit, err
}

// takeNumber removes the option and returns its value, and whether the option is present. unit is a part of
// the error's text.
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

// Rest returns an error that names the options that no method has removed, or nil if there are none.
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
