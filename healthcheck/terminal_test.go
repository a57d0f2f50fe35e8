package healthcheck

import (
	"testing"

	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/stretchr/testify/assert"
)

func TestColours(t *testing.T) {
	out := &output{colour: true}
	assert.Equal(t, "\x1b[31mbad\x1b[0m", out.paint(health.Failing, "bad"))
	assert.Equal(t, "none", out.paint(health.Unknown, "none"))
	assert.Equal(t, "bad", (&output{}).paint(health.Failing, "bad"))
	rows := [][]cell{
		{{text: "a", level: health.Well}, {text: "long", level: health.Failing}, {text: "x", level: health.Warning}},
		{{text: "bb", level: health.Well}, {}, {text: "y", level: health.Well}},
	}
	assert.Equal(t, []string{
		"\x1b[32ma\x1b[0m   \x1b[31mlong\x1b[0m  \x1b[33mx\x1b[0m",
		"\x1b[32mbb\x1b[0m        \x1b[32my\x1b[0m",
	}, out.table(rows, 80), "colours take no room")
	assert.Equal(t, "\x1b[32ma\x1b[0m   \x1b[31ml…\x1b[0m", out.table(rows, 6)[0], "and are closed where a row is cut")
}
