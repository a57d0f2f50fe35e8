// Package text formats texts from the network, durations and numbers for the output.
package text

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Sets of characters for functions such as strings.Trim.
const (
	Lower   = "abcdefghijklmnopqrstuvwxyz"
	Letters = Lower + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	Digits  = "0123456789"
)

// Clean makes text from the network printable. It keeps the first limit bytes, appends "..." if there were
// more, and replaces each character that is not printable ASCII by "?". Valid health answers need no other
// characters.
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

// CleanWord calls Clean with a limit that suits a name or a value.
func CleanWord(s string) string { return Clean(s, 64) }

// Printable removes the characters that can't be printed from a document, except line breaks and tabs.
func Printable(document string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, document)
}

// Cut shortens s to limit characters, of which the last is then "…".
func Cut(s string, limit int) string {
	runes := []rune(s)
	if len(runes) <= limit {
		return s
	}
	return string(runes[:max(limit-1, 0)]) + "…"
}

// JoinWords joins words with spaces and omits empty words.
func JoinWords(words ...string) string {
	return strings.Join(slices.DeleteFunc(words, func(word string) bool { return word == "" }), " ")
}

// Duration formats a duration with about three digits.
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

// Thousands formats a number with separators, such as 12,345.
func Thousands(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// TimeOfDay formats a time of day with seconds.
func TimeOfDay(t time.Time) string { return t.Format("15:04:05") }
