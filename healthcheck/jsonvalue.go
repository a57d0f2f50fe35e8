package healthcheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// object is a JSON object: its members in their order, which is that of the service's configuration. A map would
// lose it.
type object []member

// member is a member of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// parseObject reads a JSON object.
func parseObject(raw []byte) (object, error) {
	if !json.Valid(raw) || bytes.TrimLeft(raw, " \t\r\n")[0] != '{' {
		return nil, errors.New("it is not a JSON object")
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	_, err := decoder.Token() // the brace
	var o object
	for err == nil && decoder.More() {
		var name json.Token
		if name, err = decoder.Token(); err == nil {
			m := member{name: name.(string)}
			err = decoder.Decode(&m.value)
			o = append(o, m)
		}
	}
	return o, err
}

// find returns the value of a member, or nil.
func (o object) find(name string) json.RawMessage {
	for _, m := range o {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// asString returns the string that raw is.
func asString(raw json.RawMessage) (string, bool) {
	var s string
	if raw == nil || json.Unmarshal(raw, &s) != nil || raw[0] != '"' {
		return "", false
	}
	return s, true
}

// asNumber returns the number that raw is.
func asNumber(raw json.RawMessage) (float64, bool) {
	f, err := strconv.ParseFloat(string(raw), 64)
	return f, err == nil
}

// asTime returns the point in time that raw is: RFC 3339, in UTC.
func asTime(raw json.RawMessage) (time.Time, bool) {
	s, _ := asString(raw)
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil && strings.HasSuffix(s, "Z")
}
