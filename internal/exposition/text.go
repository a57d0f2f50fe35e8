package exposition

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/echo-probes/echohealth/internal/snapshot"
)

// Format is a text format of Prometheus.
type Format int

const (
	// Text is version 0.0.4: https://prometheus.io/docs/instrumenting/exposition_formats/.
	Text Format = iota
	// OpenMetrics is version 1.0.0:
	// https://github.com/prometheus/OpenMetrics/blob/main/specification/OpenMetrics.md.
	OpenMetrics
)

// ContentType returns the Content-Type header of this format. Prometheus 3 refuses an answer without it.
func (f Format) ContentType() string {
	if f == OpenMetrics {
		return "application/openmetrics-text; version=1.0.0; charset=utf-8"
	}
	return "text/plain; version=0.0.4; charset=utf-8"
}

// Append appends all metrics to b. It leaves out the families that have no series.
func (c *Counters) Append(b []byte, f Format, s *snapshot.Snapshot) []byte {
	var begun *Family
	c.Read(s, func(family *Family, series Series) {
		if family != begun {
			begun = family
			b = f.appendHead(b, family)
		}
		b = f.appendSeries(b, family, series)
	})
	if f == OpenMetrics {
		b = append(b, "# EOF\n"...)
	}
	return b
}

// appendHead writes the lines HELP and TYPE of a family. In them OpenMetrics requires a counter's name
// without the suffix _total.
func (f Format) appendHead(b []byte, family *Family) []byte {
	name := family.Name
	if f == OpenMetrics {
		name = strings.TrimSuffix(name, "_total")
	}
	for _, line := range [...][2]string{{"# HELP ", family.Help}, {"# TYPE ", string(family.Type)}} {
		b = append(append(append(b, line[0]...), name...), ' ')
		b = append(append(b, line[1]...), '\n')
	}
	return b
}

func (f Format) appendSeries(b []byte, family *Family, series Series) []byte {
	if series.Histogram != nil {
		return f.appendHistogram(b, family, series)
	}
	b = appendName(b, family, "", series, "")
	return f.appendValue(b, series.Value)
}

func (f Format) appendHistogram(b []byte, family *Family, series Series) []byte {
	h := series.Histogram
	for i, bound := range bounds[f] {
		b = appendName(b, family, "_bucket", series, bound)
		b = f.appendValue(b, float64(h.Buckets[i]))
	}
	b = appendName(b, family, "_bucket", series, "+Inf")
	b = f.appendValue(b, float64(h.Count))
	b = appendName(b, family, "_sum", series, "")
	b = f.appendValue(b, h.Sum)
	b = appendName(b, family, "_count", series, "")
	return f.appendValue(b, float64(h.Count))
}

// bounds holds the values of the label le for Bounds. OpenMetrics requires a decimal point in them.
var bounds = [...][len(Bounds)]string{
	Text:        {"0.001", "0.005", "0.025", "0.1", "0.25", "0.5", "1", "2.5", "5"},
	OpenMetrics: {"0.001", "0.005", "0.025", "0.1", "0.25", "0.5", "1.0", "2.5", "5.0"},
}

// appendName writes a series' name and labels. If le is not empty, it adds the label le.
func appendName(b []byte, family *Family, suffix string, series Series, le string) []byte {
	b = append(append(b, family.Name...), suffix...)
	separator := byte('{')
	for i, label := range family.Labels {
		b = append(append(append(b, separator), label...), `="`...)
		b = append(appendEscaped(b, series.Labels[i]), '"')
		separator = ','
	}
	if le != "" {
		b = append(append(append(b, separator), `le="`...), le...)
		b = append(b, '"')
		separator = ','
	}
	if separator == ',' {
		b = append(b, '}')
	}
	return append(b, ' ')
}

// appendEscaped writes a label's value and replaces bytes that are not valid UTF-8. One such byte would make
// Prometheus refuse the whole answer.
func appendEscaped(b []byte, value string) []byte {
	for _, r := range value { // for an invalid byte, r is U+FFFD
		switch r {
		case '\\':
			b = append(b, `\\`...)
		case '"':
			b = append(b, `\"`...)
		case '\n':
			b = append(b, `\n`...)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return b
}

func (f Format) appendValue(b []byte, value float64) []byte {
	if value == math.Trunc(value) && math.Abs(value) < 1<<53 {
		b = strconv.AppendInt(b, int64(value), 10)
	} else {
		b = strconv.AppendFloat(b, value, 'g', -1, 64)
	}
	return append(b, '\n')
}
