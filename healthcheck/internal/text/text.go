// Package text formats what the command prints: words from the network, durations, numbers.
package text

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
	Lower   = "abcdefghijklmnopqrstuvwxyz"
	Letters = Lower + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	Digits  = "0123456789"
)

// Clean makes text that came over the network fit for a terminal: printable ASCII, of at most limit bytes.
// The words of a health answer have no other letters.
func Clean(s string, limit int) string {
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

// CleanWord is clean for one word: a name or a value.
func CleanWord(s string) string { return Clean(s, 64) }

// Printable removes the control characters from a document, and keeps its lines and its letters.
func Printable(document string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, document)
}

// Cut shortens text of our own to limit columns.
func Cut(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	return string(runes[:max(limit-1, 0)]) + "…"
}

// JoinWords joins the words that are not empty with blanks.
func JoinWords(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(word string) bool { return word == "" }), " ")
}

// Duration writes a duration in three digits or so.
func Duration(d time.Duration) string {
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

// Thousands writes a number as 12,345.
func Thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// TimeOfDay writes the time of day to the second.
func TimeOfDay(t time.Time) string { return t.Format("15:04:05") }
