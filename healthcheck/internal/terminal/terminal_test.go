package terminal

import (
	"testing"

	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/stretchr/testify/assert"
)

func TestColours(t *testing.T) {
	out := &Output{Colour: true}
	assert.Equal(t, "\x1b[31mbad\x1b[0m", out.Paint(health.Failing, "bad"))
	assert.Equal(t, "none", out.Paint(health.Unknown, "none"))
	assert.Equal(t, "bad", (&Output{}).Paint(health.Failing, "bad"))
	rows := [][]Cell{
		{{Text: "a", Level: health.Well}, {Text: "long", Level: health.Failing}, {Text: "x", Level: health.Warning}},
		{{Text: "bb", Level: health.Well}, {}, {Text: "y", Level: health.Well}},
	}
	assert.Equal(t, []string{
		"\x1b[32ma\x1b[0m   \x1b[31mlong\x1b[0m  \x1b[33mx\x1b[0m",
		"\x1b[32mbb\x1b[0m        \x1b[32my\x1b[0m",
	}, out.Table(rows, 80), "colours take no room")
	assert.Equal(t, "\x1b[32ma\x1b[0m   \x1b[31ml…\x1b[0m", out.Table(rows, 6)[0], "colours must end at the cut of a row")
}
