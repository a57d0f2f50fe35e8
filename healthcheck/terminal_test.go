package healthcheck

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestColours(t *testing.T) {
	out := &output{colour: true}
	assert.Equal(t, "\x1b[31mbad\x1b[0m", out.paint(failing, "bad"))
	assert.Equal(t, "none", out.paint(unknown, "none"))
	assert.Equal(t, "bad", (&output{}).paint(failing, "bad"))
	rows := [][]cell{
		{{text: "a", level: well}, {text: "long", level: failing}, {text: "x", level: warning}},
		{{text: "bb", level: well}, {}, {text: "y", level: well}},
	}
	assert.Equal(t, []string{
		"\x1b[32ma\x1b[0m   \x1b[31mlong\x1b[0m  \x1b[33mx\x1b[0m",
		"\x1b[32mbb\x1b[0m        \x1b[32my\x1b[0m",
	}, out.table(rows, 80), "colours take no room")
	assert.Equal(t, "\x1b[32ma\x1b[0m   \x1b[31ml…\x1b[0m", out.table(rows, 6)[0], "and are closed where a row is cut")
}
