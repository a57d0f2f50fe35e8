// Package document reads the body of a health answer, to be shown.
package document

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

// Document is the body of a health answer, fit to be shown.
type Document struct {
	Status, Reason, Phase, Version string
	Checks                         []Check
	Lasting                        Lasting  // of the answer for one check alone
	Details                        []string // likewise
}

// Check is one member of "checks".
type Check struct {
	Name, Status, Reason string
	Milliseconds         string // empty where it says no time
	Lasting              Lasting
	Details              []string
}

var errNoDocument = errors.New("the body is not a health document")

// Parse reads a body. Sent is when it was sent, by the server's clock; zero is unknown. It accepts what is
// missing or strange: --all reports that.
func Parse(body []byte, sent time.Time) (Document, error) {
	members, err := jsonvalue.ParseObject(body)
	status := word(members.Find("status"))
	if err != nil || status == "" {
		return Document{}, errNoDocument
	}
	if members.Find("checks") == nil && slices.Contains(health.StatusesOf("checks"), status) {
		c := parseCheck("", members, sent)
		return Document{Status: c.Status, Reason: c.Reason, Lasting: c.Lasting, Details: c.Details}, nil
	}
	if made, ok := jsonvalue.AsTime(members.Find("timestamp")); ok {
		sent = made
	}
	d := Document{Status: status}
	for _, m := range members {
		switch m.Name {
		case "reason":
			d.Reason = word(m.Value)
		case "phase":
			d.Phase = word(m.Value)
		case "version":
			d.Version = word(m.Value)
		case "checks":
			d.Checks = parseChecks(m.Value, sent)
		case "status", "timestamp":
		default:
			d.Details = appendDetail(d.Details, m)
		}
	}
	return d, nil
}

// HasTrouble reports whether a check is not ok. A service may be ready, or degraded and no more, all the
// same.
func (d Document) HasTrouble() bool {
	return slices.ContainsFunc(d.Checks, func(c Check) bool { return c.Status != "ok" })
}

func parseChecks(raw json.RawMessage, now time.Time) []Check {
	members, err := jsonvalue.ParseObject(raw)
	if err != nil {
		return nil
	}
	var checks []Check
	for _, m := range members[:min(len(members), checksLimit)] {
		of, _ := jsonvalue.ParseObject(m.Value) // what is no object has no members
		checks = append(checks, parseCheck(m.Name, of, now))
	}
	return checks
}

// parseCheck reads a check's members. Now is when the server sent them, by its clock.
func parseCheck(name string, members jsonvalue.Object, now time.Time) Check {
	c := Check{Name: text.CleanWord(name)}
	for _, m := range members {
		switch m.Name {
		case "status":
			c.Status = word(m.Value)
		case "reason":
			c.Reason = word(m.Value)
		case "response_time_ms":
			c.Milliseconds = word(m.Value)
		case "since", "last_ok":
		case "error":
			message, _ := jsonvalue.AsString(m.Value)
			c.Details = append(c.Details, "error="+text.Clean(message, errorLimit))
		default:
			c.Details = appendDetail(c.Details, m)
		}
	}
	if c.Status != "ok" {
		c.Lasting = parseLasting(members, c.Status, now)
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
