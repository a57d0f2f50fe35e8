package history

import (
	"math"
	"strconv"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// letter returns the letter for a status in the JSON.
func letter(status probes.Status) byte {
	if status == "" {
		return '-'
	}
	return status[0]
}

// Append appends r as JSON. The JSON has an array for each figure of a component. An object for each column
// would make it six times as long. Names and reasons need no escape, because they consist of letters, digits,
// dots, underscores and hyphens only.
func (r Report) Append(b []byte) []byte {
	b = append(b, `{"instance":"`...)
	b = append(append(b, r.Instance...), `",`...)
	b = appendTime(append(b, `"generated_at":`...), r.Made)
	b = appendTime(append(b, `,"since":`...), r.Since)
	b = strconv.AppendInt(append(b, `,"window_seconds":`...), int64(r.Window/time.Second), 10)
	b = strconv.AppendInt(append(b, `,"step_seconds":`...), int64(r.Step/time.Second), 10)
	b = appendTime(append(b, `,"from":`...), r.From)
	b = append(b, `,"status_codes":{"o":"ok","w":"warning","e":"error","-":"no data"},"components":[`...)
	for i, c := range r.Components {
		b = c.append(comma(b, i))
	}
	b = append(b, `],"transitions":[`...)
	for i, c := range r.Changes {
		b = c.append(comma(b, i))
	}
	return append(b, "]}"...)
}

func (c Component) append(b []byte) []byte {
	b = append(append(append(b, `{"name":"`...), c.Name...), `","status":"`...)
	for _, column := range c.Columns {
		b = append(b, letter(column.Status))
	}
	b = append(b, `","avg_ms":[`...)
	for i, column := range c.Columns {
		b = appendFigure(comma(b, i), column.AvgMS, 2)
	}
	b = append(b, `],"max_ms":[`...)
	for i, column := range c.Columns {
		b = appendFigure(comma(b, i), column.MaxMS, 2)
	}
	b = appendFigure(append(b, `],"availability":`...), c.Availability, 6)
	b = strconv.AppendInt(append(b, `,"incidents":`...), int64(c.Incidents), 10)
	return append(b, '}')
}

func (c Change) append(b []byte) []byte {
	b = appendTime(append(b, `{"at":`...), c.At)
	b = append(append(append(b, `,"component":"`...), c.Component...), '"')
	if c.From != "" {
		b = append(append(append(b, `,"from":"`...), c.From...), '"')
	}
	b = append(append(append(b, `,"to":"`...), c.To...), '"')
	if c.From != "" {
		b = strconv.AppendInt(append(b, `,"after_seconds":`...), int64(c.After/time.Second), 10)
	}
	if c.Reason != "" {
		b = append(append(append(b, `,"reason":"`...), c.Reason...), '"')
	}
	return append(b, '}')
}

func comma(b []byte, i int) []byte {
	if i > 0 {
		return append(b, ',')
	}
	return b
}

func appendTime(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, time.RFC3339)
	return append(b, '"')
}

func appendFigure(b []byte, f Figure, decimals int) []byte {
	if !f.Known {
		return append(b, "null"...)
	}
	unit := math.Pow10(decimals)
	return strconv.AppendFloat(b, math.Round(f.Value*unit)/unit, 'f', -1, 64)
}
