package redact

import "strings"

const (
	spaces = " \t\r\n"
	quotes = "\"'`"
)

// each calls f with each position of part in text.
func each(text, part string, f func(at int)) {
	for at := 0; ; at += len(part) {
		i := strings.Index(text[at:], part)
		if i < 0 {
			return
		}
		at += i
		f(at)
	}
}

// eachFold is like each, but ignores the case of ASCII letters. part must be in lower case.
func eachFold(text, part string, f func(at int)) {
	for i := 0; i+len(part) <= len(text); i++ {
		if text[i]|0x20 == part[0] && strings.EqualFold(text[i:i+len(part)], part) {
			f(i)
		}
	}
}

// quote is a quotation mark and the number of backslashes before it. A quotation inside a quoted text has one
// backslash. Deeper levels have more.
type quote struct {
	mark  byte
	depth int
}

// quoteAt returns the quote at the position at, and the position of the quoted content.
func quoteAt(text string, at int) (q quote, content int, ok bool) {
	end := skip(text, at, `\`)
	if end == len(text) || !isQuote(text[end]) {
		return quote{}, 0, false
	}
	return quote{text[end], end - at}, end + 1, true
}

// quoteBefore returns the quote that ends at the position at.
func quoteBefore(text string, at int) (q quote, ok bool) {
	if at == 0 || !isQuote(text[at-1]) {
		return quote{}, false
	}
	rest := strings.TrimRight(text[:at-1], `\`)
	return quote{text[at-1], at - 1 - len(rest)}, true
}

// closing returns the position of the quote that ends the content, or the end of text if there is none. The
// content begins at the position at. A quote inside a word is ignored, because the content may contain a
// quote that was not escaped.
func (s *search) closing(at int, q quote) int {
	if s.quotes == nil {
		s.quotes = make(map[quote]*stretch)
	}
	if s.quotes[q] == nil {
		s.quotes[q] = new(stretch)
	}
	return s.quotes[q].end(at, func(at int) int { return s.findClosing(at, q) })
}

func (s *search) findClosing(at int, q quote) int {
	backslashes := 0
	for i := at; i < len(s.text); i++ {
		c := s.text[i]
		if c == q.mark && backslashes%(2*q.depth+2) == q.depth && endsWord(s.text[i+1:], q.depth > 0) {
			if !s.isDoubled(i, q) {
				return i
			}
			i++
		}
		if c == '\\' {
			backslashes++
		} else {
			backslashes = 0
		}
	}
	return len(s.text)
}

// isDoubled reports whether the quote at the position at is the first of a pair that stands for a single
// quote, as in SQL.
func (s *search) isDoubled(at int, q quote) bool {
	return q.depth == 0 && at+2 < len(s.text) && s.text[at+1] == q.mark
}

// endsWord reports whether a word can end before text. That is so if nothing, white space or punctuation
// follows, after any closing quotes and brackets.
func endsWord(text string, escaped bool) bool {
	const few = 16
	rest := strings.TrimLeft(text[:min(len(text), few)], quotes+")]}")
	if rest == "" {
		return len(text) <= few
	}
	return strings.IndexByte(spaces+",;:.&>|", rest[0]) >= 0 || escaped && rest[0] == '\\'
}

// wordEnd returns the position of the next white space that has no backslash before it, or the end of text.
//
//go:noinline
func (s *search) wordEnd(at int) int {
	return s.word.end(at, s.findWordEnd)
}

func (s *search) findWordEnd(at int) int {
	for i := at; i < len(s.text); i++ {
		switch s.text[i] {
		case '\\':
			i++
		case ' ', '\t', '\r', '\n':
			return i
		}
	}
	return len(s.text)
}

// lineEnd returns the position of the next \n, or the end of text.
//
//go:noinline
func (s *search) lineEnd(at int) int {
	return s.line.end(at, func(at int) int { return s.next(at, "\n") })
}

// next returns the position of the next part in text, or the end of text.
func (s *search) next(at int, part string) int {
	if i := strings.Index(s.text[at:], part); i >= 0 {
		return at + i
	}
	return len(s.text)
}

// lastAt returns the position of the last @ between from and to, or -1 if there is none. For the same to,
// from must not decrease between calls.
func (s *search) lastAt(from, to int) int {
	if s.atEnd != to {
		s.atEnd, s.at = to, from+strings.LastIndexByte(s.text[from:to], '@')
	}
	if s.at < from {
		return -1
	}
	return s.at
}

// stretch is the range of a search, which makes a second search unnecessary: a search that begins in the
// range has the same end. Without it a text with many beginnings and no end would be searched to its end from
// each beginning.
type stretch struct{ from, to int }

// end returns the end of a search that begins at the position at. It calls find only if that position is
// outside the range of the last search.
func (s *stretch) end(at int, find func(at int) int) int {
	if !s.has(at) {
		*s = stretch{at, find(at)}
	}
	return s.to
}

func (s *stretch) has(at int) bool { return s.from <= at && at < s.to }

// closingQuote returns the position of the quote that ends a text in the format of strconv.Quote, or the end
// of text if there is none. The content of the quotes begins at the position at.
func closingQuote(text string, at int) int {
	for i := at; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(text)
}

// skip returns the first position from at on whose byte is not in bytes, or the end of text.
func skip(text string, at int, bytes string) int {
	for at < len(text) && strings.IndexByte(bytes, text[at]) >= 0 {
		at++
	}
	return at
}

func isSpace(text string, at int) bool { return skip(text, at, spaces) > at }

func isQuote(c byte) bool { return strings.IndexByte(quotes, c) >= 0 }

func isSchemeByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '+' || c == '.' || c == '-'
}
