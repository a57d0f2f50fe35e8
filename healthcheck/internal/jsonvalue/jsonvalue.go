// Package jsonvalue parses JSON of unknown structure and keeps the order of an object's members.
package jsonvalue

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// Object is a JSON object. Unlike a map, it keeps the order of its members, which is the order of the
// service's configuration.
type Object []Member

// Member is a member of a JSON object.
type Member struct {
	Name  string
	Value json.RawMessage
}

// ParseObject parses a JSON object.
func ParseObject(raw []byte) (Object, error) {
	if !json.Valid(raw) || bytes.TrimLeft(raw, " \t\r\n")[0] != '{' {
		return nil, errors.New("it is not a JSON object")
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	_, err := decoder.Token() // skip the brace
	var o Object
	for err == nil && decoder.More() {
		var name json.Token
		if name, err = decoder.Token(); err == nil {
			m := Member{Name: name.(string)}
			err = decoder.Decode(&m.Value)
			o = append(o, m)
		}
	}
	return o, err
}

// Find returns the value of a member, or nil if there is no such member.
func (o Object) Find(name string) json.RawMessage {
	for _, m := range o {
		if m.Name == name {
			return m.Value
		}
	}
	return nil
}

// AsString returns the string in raw. The second result is false if raw is not a JSON string.
func AsString(raw json.RawMessage) (string, bool) {
	var s string
	if raw == nil || json.Unmarshal(raw, &s) != nil || raw[0] != '"' {
		return "", false
	}
	return s, true
}

// AsNumber returns the number in raw. The second result is false if raw is not a number.
func AsNumber(raw json.RawMessage) (float64, bool) {
	f, err := strconv.ParseFloat(string(raw), 64)
	return f, err == nil
}

// AsTime returns the time in raw. The second result is false if raw is not a string with a time in RFC 3339
// and UTC.
func AsTime(raw json.RawMessage) (time.Time, bool) {
	s, _ := AsString(raw)
	t, err := time.Parse(time.RFC3339, s)
	return t, err == nil && strings.HasSuffix(s, "Z")
}
