// Package document parses the body of a health answer for display.
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

// These limits apply to the display of one answer.
const (
	errorLimit   = 160
	checksLimit  = 100
	detailsLimit = 20
)

// Document is the body of a health answer. Its texts contain only printable characters.
type Document struct {
	Status, Reason, Phase, Version string
	Checks                         []Check
	Groups                         []Group
	Lasting                        Lasting  // set only in the answer for one check
	Details                        []string // members that no other field holds
}

// Check is one member of "checks".
type Check struct {
	Name, Status, Reason string
	Milliseconds         string // empty if the check has no response time
	Lasting              Lasting
	Details              []string
}

// Group is one member of "groups".
type Group struct{ Name, Status string }

var errNoDocument = errors.New("the body is not a health document")

// Parse parses a body. sent is the time of the answer by the server's clock, or zero if unknown. Parse
// accepts missing and invalid members, because only --all reports them.
func Parse(body []byte, sent time.Time) (Document, error) {
	members, err := jsonvalue.ParseObject(body)
	status := display(members.Find("status"))
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
			d.Reason = display(m.Value)
		case "phase":
			d.Phase = display(m.Value)
		case "version":
			d.Version = display(m.Value)
		case "checks":
			d.Checks = parseChecks(m.Value, sent)
		case "groups":
			d.Groups = parseGroups(m.Value)
		case "status", "timestamp":
		default:
			d.Details = appendDetail(d.Details, m)
		}
	}
	return d, nil
}

// HasCheckNotOK reports whether at least one check is not ok. The service may be ready nevertheless.
func (d Document) HasCheckNotOK() bool {
	return slices.ContainsFunc(d.Checks, func(c Check) bool { return c.Status != "ok" })
}

func parseChecks(raw json.RawMessage, now time.Time) []Check {
	members, err := jsonvalue.ParseObject(raw)
	if err != nil {
		return nil
	}
	var checks []Check
	for _, m := range members[:min(len(members), checksLimit)] {
		object, _ := jsonvalue.ParseObject(m.Value) // a value that is not an object counts as an empty object
		checks = append(checks, parseCheck(m.Name, object, now))
	}
	return checks
}

func parseGroups(raw json.RawMessage) []Group {
	members, _ := jsonvalue.ParseObject(raw) // a value that is not an object counts as an empty object
	var groups []Group
	for _, m := range members[:min(len(members), checksLimit)] {
		object, _ := jsonvalue.ParseObject(m.Value)
		groups = append(groups, Group{text.CleanWord(m.Name), display(object.Find("status"))})
	}
	return groups
}

// parseCheck parses the members of a check. now is the time of the answer by the server's clock.
func parseCheck(name string, members jsonvalue.Object, now time.Time) Check {
	c := Check{Name: text.CleanWord(name)}
	for _, m := range members {
		switch m.Name {
		case "status":
			c.Status = display(m.Value)
		case "reason":
			c.Reason = display(m.Value)
		case "response_time_ms":
			c.Milliseconds = display(m.Value)
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
	return append(details, text.CleanWord(m.Name)+"="+display(m.Value))
}

// display formats a JSON value for display.
func display(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = string(raw)
	}
	return text.CleanWord(s)
}
