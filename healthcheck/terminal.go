package healthcheck

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/echo-probes/echohealth/healthcheck/internal/health"
)

// output is what the command writes to, and what that can show.
type output struct {
	io.Writer
	errors   io.Writer
	terminal bool
	colour   bool
	size     func() (width, height int) // of the terminal, as it is now; nil where there is none
}

// newOutput finds out what stdout is. Everything but a terminal gets plain lines.
func newOutput(stdout, stderr io.Writer) *output {
	out := &output{Writer: stdout, errors: stderr}
	file, ok := stdout.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return out
	}
	if _, _, ok := windowSize(file.Fd()); !ok {
		return out
	}
	out.terminal = true
	out.colour = os.Getenv("NO_COLOR") == ""
	out.size = func() (int, int) {
		width, height, _ := windowSize(file.Fd())
		if width <= 0 || height <= 0 {
			return 80, 24 // some serial consoles don't know their size
		}
		return width, height
	}
	return out
}

// print writes a text. It ignores a failure, which cannot be reported: the exit code still tells the result.
func (o *output) print(s string) { _, _ = io.WriteString(o, s) }

// printf formats and writes a text.
func (o *output) printf(format string, args ...any) { _, _ = fmt.Fprintf(o, format, args...) }

// printError writes what is wrong to stderr, apart from the answers.
func (o *output) printError(format string, args ...any) {
	_, _ = fmt.Fprintf(o.errors, "healthcheck: "+format, args...)
}

var colours = map[health.Level]string{health.Well: "\x1b[32m", health.Warning: "\x1b[33m", health.Failing: "\x1b[31m"}

// paint gives a text the colour of a level.
func (o *output) paint(l health.Level, s string) string {
	if !o.colour || colours[l] == "" {
		return s
	}
	return colours[l] + s + "\x1b[0m"
}

// clear clears the screen.
func (o *output) clear() { o.print("\x1b[H\x1b[2J") }

// redraw writes a whole screen over the one before, line by line, so that nothing flickers.
func (o *output) redraw(lines []string) {
	o.print("\x1b[H" + strings.Join(lines, "\x1b[K\n") + "\x1b[K\n\x1b[J")
}

// rewriteLine writes a line over itself.
func (o *output) rewriteLine(line string) { o.print("\r" + line + "\x1b[K") }
