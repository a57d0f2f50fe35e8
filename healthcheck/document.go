package healthcheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
)

// What is shown of one answer at most, however much a server sends.
const (
	wordLimit    = 64
	checksLimit  = 100
	detailsLimit = 20
)

// document is the body of a health answer, fit to be shown.
type document struct {
	status, reason, version string
	checks                  []check
	details                 []string // of the answer for one check alone
}

// check is one member of "checks".
type check struct {
	name, status, reason string
	milliseconds         string // empty where it says no time
	details              []string
}

// member is a member of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

var errNoDocument = errors.New("the body is not a health document")

// parseDocument reads a body. It takes what is missing or strange as it comes: --all is what complains.
func parseDocument(body []byte) (document, error) {
	list, err := members(body)
	if err != nil {
		return document{}, errNoDocument
	}
	var d document
	for _, m := range list {
		switch m.name {
		case "status":
			d.status = word(m.value)
		case "reason":
			d.reason = word(m.value)
		case "version":
			d.version = word(m.value)
		case "checks":
			d.checks = parseChecks(m.value)
		case "timestamp", "response_time_ms":
		default:
			d.details = appendDetail(d.details, m)
		}
	}
	if d.status == "" {
		return document{}, errNoDocument
	}
	return d, nil
}

func parseChecks(raw json.RawMessage) []check {
	list, err := members(raw)
	if err != nil {
		return nil
	}
	var checks []check
	for _, m := range list[:min(len(list), checksLimit)] {
		checks = append(checks, parseCheck(m))
	}
	return checks
}

func parseCheck(m member) check {
	c := check{name: clean(m.name, wordLimit)}
	list, err := members(m.value)
	if err != nil {
		return c
	}
	for _, m := range list {
		switch m.name {
		case "status":
			c.status = word(m.value)
		case "reason":
			c.reason = word(m.value)
		case "response_time_ms":
			c.milliseconds = word(m.value)
		default:
			c.details = appendDetail(c.details, m)
		}
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
