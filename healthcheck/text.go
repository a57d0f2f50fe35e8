package healthcheck

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Sets of characters, for strings.Trim and the like.
const (
	lower   = "abcdefghijklmnopqrstuvwxyz"
	letters = lower + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
)

// clean makes text that came over the network fit for a terminal: printable ASCII, of at most limit bytes. The words
// of a health answer have no other letters.
func clean(s string, limit int) string {
	dots := ""
	if len(s) > limit {
		s, dots = s[:limit], "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s) + dots
}

// cleanWord is clean for one word: a name or a value.
func cleanWord(s string) string { return clean(s, 64) }

// printable removes the control characters from a document, and keeps its lines and its letters.
func printable(document string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, document)
}

// cut shortens text of our own to limit columns.
func cut(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	return string(runes[:max(limit-1, 0)]) + "…"
}

// joinWords joins the words that are not empty with blanks.
func joinWords(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(word string) bool { return word == "" }), " ")
}

// duration writes a duration in three digits or so.
func duration(d time.Duration) string {
	switch {
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1fms", float64(d)/float64(time.Millisecond))
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// thousands writes a number as 12,345.
func thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// timeOfDay writes the time of day to the second.
func timeOfDay(t time.Time) string { return t.Format("15:04:05") }
