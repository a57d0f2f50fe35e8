package healthcheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"time"
)

// What is shown of one answer at most, however much a server sends.
const (
	wordLimit    = 64
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

// member is a member of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

var errNoDocument = errors.New("the body is not a health document")

// parseDocument reads a body. Sent is when it was, by the server's clock; zero is unknown. It takes what is missing or
// strange as it comes: --all is what complains.
func parseDocument(body []byte, sent time.Time) (document, error) {
	list, err := members(body)
	status := word(find(list, "status"))
	if err != nil || status == "" {
		return document{}, errNoDocument
	}
	if find(list, "checks") == nil && slices.Contains(statusesOf["checks"], status) {
		c := parseCheck("", list, sent)
		return document{status: c.status, reason: c.reason, lasting: c.lasting, details: c.details}, nil
	}
	if made, ok := instant(find(list, "timestamp")); ok {
		sent = made
	}
	d := document{status: status}
	for _, m := range list {
		switch m.name {
		case "reason":
			d.reason = word(m.value)
		case "phase":
			d.phase = word(m.value)
		case "version":
			d.version = word(m.value)
		case "checks":
			d.checks = parseChecks(m.value, sent)
		case "status", "timestamp":
		default:
			d.details = appendDetail(d.details, m)
		}
	}
	return d, nil
}

func parseChecks(raw json.RawMessage, now time.Time) []check {
	list, err := members(raw)
	if err != nil {
		return nil
	}
	var checks []check
	for _, m := range list[:min(len(list), checksLimit)] {
		list, _ := members(m.value) // what is no object has no members
		checks = append(checks, parseCheck(m.name, list, now))
	}
	return checks
}

// parseCheck reads a check's members. Now is when they were told, by the server's clock.
func parseCheck(name string, list []member, now time.Time) check {
	c := check{name: clean(name, wordLimit)}
	for _, m := range list {
		switch m.name {
		case "status":
			c.status = word(m.value)
		case "reason":
			c.reason = word(m.value)
		case "response_time_ms":
			c.milliseconds = word(m.value)
		case "since", "last_ok":
		case "error":
			text, _ := str(m.value)
			c.details = append(c.details, "error="+clean(text, errorLimit))
		default:
			c.details = appendDetail(c.details, m)
		}
	}
	if c.status != "ok" {
		c.lasting = parseLasting(list, c.status, now)
	}
	return c
}

func appendDetail(details []string, m member) []string {
	if len(details) == detailsLimit {
		return details
	}
	return append(details, clean(m.name, wordLimit)+"="+word(m.value))
}

// word is what is shown of a JSON value.
func word(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		s = string(raw)
	}
	return clean(s, wordLimit)
}

// members returns those of a JSON object in their order, which is the order of the service's configuration, and which a map would lose.
func members(raw []byte) ([]member, error) {
	if !json.Valid(raw) || bytes.TrimLeft(raw, " \t\r\n")[0] != '{' {
		return nil, errors.New("it is not a JSON object")
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	_, err := decoder.Token() // the brace
	var list []member
	for err == nil && decoder.More() {
		var name json.Token
		if name, err = decoder.Token(); err == nil {
			m := member{name: name.(string)}
			err = decoder.Decode(&m.value)
			list = append(list, m)
		}
	}
	return list, err
}

// find returns a member's value, or nil.
func find(list []member, name string) json.RawMessage {
	for _, m := range list {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// str returns the string that raw is.
func str(raw json.RawMessage) (string, bool) {
	var s string
	if raw == nil || json.Unmarshal(raw, &s) != nil || raw[0] != '"' {
		return "", false
	}
	return s, true
}

// number returns the number that raw is.
func number(raw json.RawMessage) (float64, bool) {
	f, err := strconv.ParseFloat(string(raw), 64)
	return f, err == nil
}
