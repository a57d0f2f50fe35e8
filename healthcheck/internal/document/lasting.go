package document

import (
	"fmt"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/jsonvalue"
)

// Lasting describes for how long a check has had its status, by the service's clock. Both fields are empty if
// the check is ok, if it has had its status for less than a second, or if the answer has no times.
type Lasting struct {
	Span   string // for example "4m10s"
	lastOK string // "never ok", or "last ok 2h5m ago" if this was at least lastOKGap before the error began
}

// lastOKGap is the minimum time between a check's last ok and the beginning of its error for which the last
// ok is displayed. A shorter time is normal between two runs of a check.
const lastOKGap = time.Minute

// parseLasting parses the members "since" and "last_ok" of a check that is not ok. now is zero if the time is
// unknown.
func parseLasting(members jsonvalue.Object, status string, now time.Time) (l Lasting) {
	since, ok := jsonvalue.AsTime(members.Find("since"))
	if !ok || now.IsZero() || now.Sub(since) < time.Second {
		return l
	}
	l.Span = span(now.Sub(since))
	if status != "error" {
		return l
	}
	raw := members.Find("last_ok")
	lastOK, ok := jsonvalue.AsTime(raw)
	switch {
	case raw == nil:
		l.lastOK = "never ok"
	case ok && since.Sub(lastOK) >= lastOKGap:
		l.lastOK = "last ok " + span(now.Sub(lastOK)) + " ago"
	}
	return l
}

// String returns a text such as "for 4m10s (never ok)", or "".
func (l Lasting) String() string {
	switch {
	case l.Span == "":
		return ""
	case l.lastOK == "":
		return "for " + l.Span
	}
	return "for " + l.Span + " (" + l.lastOK + ")"
}

// span formats a duration of a second or more with its two largest units.
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
