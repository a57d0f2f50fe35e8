package healthcheck

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// lasting is for how long a check has been what it is, by the service's own clock. Both are empty for what is ok, for what
// has just begun, and for a service that doesn't say.
type lasting struct {
	span   string // such as "4m10s"
	lastOK string // "never ok", or "last ok 2h5m ago" where that was some time before the span
}

// unseen is how long before an error the last ok is to be told: between two looks that are closer, nothing else was missed.
const unseen = time.Minute

// parseLasting reads the members since and last_ok of a check that is not ok. A zero now is unknown.
func parseLasting(list []member, status string, now time.Time) (l lasting) {
	since, ok := instant(find(list, "since"))
	if !ok || now.IsZero() || now.Sub(since) < time.Second {
		return l
	}
	l.span = span(now.Sub(since))
	if status != "error" {
		return l
	}
	raw := find(list, "last_ok")
	lastOK, ok := instant(raw)
	switch {
	case raw == nil:
		l.lastOK = "never ok"
	case ok && since.Sub(lastOK) >= unseen:
		l.lastOK = "last ok " + span(now.Sub(lastOK)) + " ago"
	}
	return l
}

func (l lasting) String() string {
	switch {
	case l.span == "":
		return ""
	case l.lastOK == "":
		return "for " + l.span
	}
	return "for " + l.span + " (" + l.lastOK + ")"
}

// instant returns the point in time that raw is: RFC 3339, in UTC.
func instant(raw json.RawMessage) (time.Time, bool) {
	s, _ := str(raw)
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil && strings.HasSuffix(s, "Z")
}

// span writes a duration of a second or more with its two largest units.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < time.Hour:
		return d.Truncate(time.Second).String()
	case d < day:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
}
