package echohealth

import (
	"encoding/json"
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// The documents are written by hand and not by encoding/json, whose maps have no order: checks and their details appear as
// configured.

// appendHead begins a document; the caller goes on with a comma or closes it.
func appendHead[S ~string](b []byte, status S, now time.Time) []byte {
	b = append(b, `{"status":"`...)
	b = append(b, status...)
	b = append(b, `","timestamp":"`...)
	b = now.UTC().AppendFormat(b, time.RFC3339)
	return append(b, '"')
}

// appendChecks writes the "checks" member.
func appendChecks(b []byte, dependencies, metrics []Check) []byte {
	b = append(b, `,"checks":{`...)
	for i, check := range dependencies {
		b = appendMember(b, check.Name, i == 0)
		b = appendCheck(b, check, true)
	}
	for i, metric := range metrics {
		b = appendMember(b, metric.Name, i == 0 && len(dependencies) == 0)
		b = appendCheck(b, metric, false)
	}
	return append(b, '}')
}

// appendCheck writes a check's object. A metric has no response time.
func appendCheck(b []byte, check Check, timed bool) []byte {
	b = append(b, `{"status":"`...)
	b = append(b, check.Status...)
	b = append(b, '"')
	if check.Status != probes.OK {
		b = append(b, `,"reason":"`...)
		b = append(b, check.Reason...)
		b = append(b, '"')
	}
	if timed {
		b = append(b, `,"response_time_ms":`...)
		b = appendFloat(b, math.Round(check.ResponseTime.Seconds()*1e5)/100)
	}
	for _, detail := range check.Details {
		b = appendMember(b, detail.Key, false)
		b = appendDetail(b, detail.Value)
	}
	return append(b, '}')
}

// appendMember writes a member's name. Names and keys are of letters that need no escape: the options and
// probes.CheckDetail see to that.
func appendMember(b []byte, name string, first bool) []byte {
	if !first {
		b = append(b, ',')
	}
	b = append(b, '"')
	b = append(b, name...)
	return append(b, `":`...)
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

// appendFloat writes a finite number; one with hundreds of digits is written with an exponent, as encoding/json does.
func appendFloat(b []byte, f float64) []byte {
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, f, format, -1, 64)
}

// appendText writes a string that may hold anything.
func appendText(b []byte, s string) []byte {
	text, err := json.Marshal(s)
	if err != nil { // there is no string that json.Marshal refuses
		return append(b, `""`...)
	}
	return append(b, text...)
}
