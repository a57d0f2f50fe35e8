// Package terminal writes the command's output. On a terminal it writes tables and colours, and otherwise
// plain lines.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/echo-probes/echohealth/healthcheck/internal/health"
)

// Output holds stdout and stderr, and describes what stdout can display.
type Output struct {
	io.Writer
	Errors   io.Writer
	Terminal bool
	Colour   bool
	Size     func() (width, height int) // returns the terminal's current size; nil if stdout is not a terminal
}

// NewOutput detects whether stdout is a terminal, and whether it may have colours.
func NewOutput(stdout, stderr io.Writer) *Output {
	out := &Output{Writer: stdout, Errors: stderr}
	file, ok := stdout.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return out
	}
	if _, _, ok := windowSize(file.Fd()); !ok {
		return out
	}
	out.Terminal = true
	out.Colour = os.Getenv("NO_COLOR") == ""
	out.Size = func() (int, int) {
		width, height, _ := windowSize(file.Fd())
		if width <= 0 || height <= 0 {
			return 80, 24 // some serial consoles report no size
		}
		return width, height
	}
	return out
}

// Print writes a text to stdout. It ignores errors, because there is no other place to report them. The exit
// code still reports the result.
func (o *Output) Print(s string) { _, _ = io.WriteString(o, s) }

// Printf formats a text and writes it to stdout.
func (o *Output) Printf(format string, args ...any) { _, _ = fmt.Fprintf(o, format, args...) }

// PrintError writes an error to stderr.
func (o *Output) PrintError(format string, args ...any) {
	_, _ = fmt.Fprintf(o.Errors, "healthcheck: "+format, args...)
}

var colours = map[health.Level]string{
	health.Well: "\x1b[32m", health.Warning: "\x1b[33m", health.Failing: "\x1b[31m",
}

// Paint colours a text by its level.
func (o *Output) Paint(l health.Level, s string) string {
	if !o.Colour || colours[l] == "" {
		return s
	}
	return colours[l] + s + "\x1b[0m"
}

// Clear clears the screen.
func (o *Output) Clear() { o.Print("\x1b[H\x1b[2J") }

// Redraw overwrites the screen line by line. It does not clear the screen first, because the screen would
// flicker.
func (o *Output) Redraw(lines []string) {
	o.Print("\x1b[H" + strings.Join(lines, "\x1b[K\n") + "\x1b[K\n\x1b[J")
}

// RewriteLine overwrites the current line.
func (o *Output) RewriteLine(line string) { o.Print("\r" + line + "\x1b[K") }
