package echohealth

import (
	"encoding/json"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/echo-probes/echohealth/internal/redact"
	"github.com/echo-probes/echohealth/probes"
)

// The answers are not written by encoding/json, because it sorts the keys of a map. Checks and their details
// must appear in the configured order.

// MarshalJSON returns what /detailed/ answers.
func (r Report) MarshalJSON() ([]byte, error) { return r.append(nil, nil), nil }

// MarshalJSON returns what /checks/NAME/ answers.
func (c Check) MarshalJSON() ([]byte, error) { return c.append(nil, nil), nil }

// append writes the report. errs has the error to show for each check, or is nil to show no errors.
func (r Report) append(b []byte, errs []error) []byte {
	b = appendHead(b, r.Status, r.Timestamp)
	if r.Phase != "" {
		b = appendString(b, "phase", r.Phase)
	}
	if r.Version != "" {
		b = appendText(b, "version", r.Version)
	}
	if r.Instance != "" {
		b = appendString(b, "instance", r.Instance)
	}
	return append(appendGroups(appendChecks(b, r.Checks, errs), r.Groups), '}')
}

// appendGroups writes the "groups" member, if there are groups.
func appendGroups(b []byte, groups []GroupReport) []byte {
	for i, group := range groups {
		if i == 0 {
			b = append(b, `,"groups":{"`...)
		} else {
			b = append(b, `,"`...)
		}
		b = append(append(b, group.Name...), `":{"status":"`...)
		b = append(append(b, readyWord(group.Ready)...), `","checks":["`...)
		b = append(append(b, strings.Join(group.Checks, `","`)...), `"]}`...)
	}
	if len(groups) > 0 {
		b = append(b, '}')
	}
	return b
}

func readyWord(ready bool) string {
	if ready {
		return "ready"
	}
	return "not_ready"
}

// appendHead begins an answer's object. The caller adds further members and closes the object.
func appendHead[S ~string](b []byte, status S, now time.Time) []byte {
	b = append(b, `{"status":"`...)
	b = append(b, status...)
	b = append(b, '"')
	return appendTime(b, "timestamp", now)
}

// appendChecks writes the "checks" member.
func appendChecks(b []byte, checks []Check, errs []error) []byte {
	b = append(b, `,"checks":{`...)
	first := true
	for i, check := range checks {
		if check.Status == "" { // it has no result yet
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = append(b, '"')
		b = append(b, check.Name...)
		b = append(b, `":`...)
		var err error
		if errs != nil {
			err = errs[i]
		}
		b = check.append(b, err)
	}
	return append(b, '}')
}

// append writes the check's object, with err unless it is nil. A metric has no response time.
func (c Check) append(b []byte, err error) []byte {
	b = append(b, `{"status":"`...)
	b = append(b, c.Status...)
	b = append(b, '"')
	if c.Status != probes.OK {
		b = appendString(b, "reason", c.Reason)
	}
	if !c.metric {
		b = appendKey(b, "response_time_ms")
		b = appendFloat(b, math.Round(c.ResponseTime.Seconds()*1e5)/100)
	}
	if !c.Since.IsZero() {
		b = appendTime(b, "since", c.Since)
	}
	if c.Status == probes.Error && !c.LastOK.IsZero() {
		b = appendTime(b, "last_ok", c.LastOK)
	}
	for _, detail := range c.Details {
		b = appendDetail(appendKey(b, detail.Key), detail.Value)
	}
	if err != nil {
		b = appendText(b, "error", shorten(redact.Error(err)))
	}
	return append(b, '}')
}

// maxErrorText is the maximum length in bytes of an error that an answer shows.
const maxErrorText = 1024

// shorten cuts a text that is too long, between two characters.
func shorten(text string) string {
	if len(text) <= maxErrorText {
		return text
	}
	end := maxErrorText
	for end > maxErrorText-utf8.UTFMax && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// appendKey begins a member that is not the first. No name and no key needs an escape, because the options
// and probes.CheckDetail accept only letters, digits and the characters . _ -.
func appendKey(b []byte, key string) []byte {
	b = append(b, `,"`...)
	b = append(b, key...)
	return append(b, `":`...)
}

// appendString writes a member whose value needs no escape.
func appendString[S ~string](b []byte, key string, value S) []byte {
	b = append(appendKey(b, key), '"')
	b = append(b, value...)
	return append(b, '"')
}

// appendTime writes a member whose value is a point in time.
func appendTime(b []byte, key string, t time.Time) []byte {
	b = append(appendKey(b, key), '"')
	b = t.UTC().AppendFormat(b, time.RFC3339)
	return append(b, '"')
}

// appendText writes a member whose value may need escapes.
func appendText(b []byte, key, s string) []byte {
	text, _ := json.Marshal(s) // it fails for no string
	return append(appendKey(b, key), text...)
}

// appendDetail writes a value that probes.CheckDetail allows.
func appendDetail(b []byte, v slog.Value) []byte {
	switch v.Kind() {
	case slog.KindInt64:
		return strconv.AppendInt(b, v.Int64(), 10)
	case slog.KindUint64:
		return strconv.AppendUint(b, v.Uint64(), 10)
	case slog.KindFloat64:
		return appendFloat(b, v.Float64())
	case slog.KindBool:
		return strconv.AppendBool(b, v.Bool())
	}
	b = append(b, '"')
	b = append(b, v.String()...)
	return append(b, '"')
}

// appendFloat writes a finite number as encoding/json does: a very small or very large one with an exponent.
func appendFloat(b []byte, f float64) []byte {
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, f, format, -1, 64)
}
