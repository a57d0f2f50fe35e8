package healthcheck

import (
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/jsonvalue"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// What is shown of one answer at most, however much a server sends.
const (
	errorLimit   = 160
	checksLimit  = 100
	detailsLimit = 20
)

// document is the body of a health answer, fit to be shown.
type document struct {
	status, reason, phase, version string
	checks                         []check
	lasting                        lasting  // of the answer for one check alone
	details                        []string // likewise
}

// check is one member of "checks".
type check struct {
	name, status, reason string
	milliseconds         string // empty where it says no time
	lasting              lasting
	details              []string
}

var errNoDocument = errors.New("the body is not a health document")

// parseDocument reads a body. Sent is when it was sent, by the server's clock; zero is unknown. It accepts what is
// missing or strange: --all reports that.
func parseDocument(body []byte, sent time.Time) (document, error) {
	members, err := jsonvalue.ParseObject(body)
	status := word(members.Find("status"))
	if err != nil || status == "" {
		return document{}, errNoDocument
	}
	if members.Find("checks") == nil && slices.Contains(health.StatusesOf("checks"), status) {
		c := parseCheck("", members, sent)
		return document{status: c.status, reason: c.reason, lasting: c.lasting, details: c.details}, nil
	}
	if made, ok := jsonvalue.AsTime(members.Find("timestamp")); ok {
		sent = made
	}
	d := document{status: status}
	for _, m := range members {
		switch m.Name {
		case "reason":
			d.reason = word(m.Value)
		case "phase":
			d.phase = word(m.Value)
		case "version":
			d.version = word(m.Value)
		case "checks":
			d.checks = parseChecks(m.Value, sent)
		case "status", "timestamp":
		default:
			d.details = appendDetail(d.details, m)
		}
	}
	return d, nil
}

// hasTrouble reports whether a check is not ok. A service may be ready, or degraded and no more, all the same.
func (d document) hasTrouble() bool {
	return slices.ContainsFunc(d.checks, func(c check) bool { return c.status != "ok" })
}

func parseChecks(raw json.RawMessage, now time.Time) []check {
	members, err := jsonvalue.ParseObject(raw)
	if err != nil {
		return nil
	}
	var checks []check
	for _, m := range members[:min(len(members), checksLimit)] {
		of, _ := jsonvalue.ParseObject(m.Value) // what is no object has no members
		checks = append(checks, parseCheck(m.Name, of, now))
	}
	return checks
}

// parseCheck reads a check's members. Now is when the server sent them, by its clock.
func parseCheck(name string, members jsonvalue.Object, now time.Time) check {
	c := check{name: text.CleanWord(name)}
	for _, m := range members {
		switch m.Name {
		case "status":
			c.status = word(m.Value)
		case "reason":
			c.reason = word(m.Value)
		case "response_time_ms":
			c.milliseconds = word(m.Value)
		case "since", "last_ok":
		case "error":
			message, _ := jsonvalue.AsString(m.Value)
			c.details = append(c.details, "error="+text.Clean(message, errorLimit))
		default:
			c.details = appendDetail(c.details, m)
		}
	}
	if c.status != "ok" {
		c.lasting = parseLasting(members, c.status, now)
	}
	return c
}

func appendDetail(details []string, m jsonvalue.Member) []string {
	if len(details) == detailsLimit {
		return details
	}
	return append(details, text.CleanWord(m.Name)+"="+word(m.Value))
}

// word is what is shown of a JSON value.
func word(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = string(raw)
	}
	return text.CleanWord(s)
}
