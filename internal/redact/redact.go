// Package redact makes an error's text fit for a log: it masks the passwords and shortens a long text. It
// imports only the standard library.
package redact

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

const (
	maxText = 8 << 10  // bytes of a logged error: a probe may have put a whole answer into it
	maxWork = 16 << 10 // bytes that are searched for passwords, which bounds the cost of a huge text
)

// Error returns err's text as Text does; empty for nil. An error whose Error method panics, such as a typed
// nil pointer, is named by its type.
func Error(err error) (text string) {
	if err == nil {
		return ""
	}
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("an error of type %T, whose Error method panics", err)
		}
	}()
	return Text(err.Error())
}

// Text replaces the passwords in text by ***: in URLs (scheme://user:password@host), MySQL's DSNs
// (user:password@tcp(host)/), key=value pairs, JSON, SQL, flags of commands, cookies, private keys, and
// credentials of HTTP and SASL, in the fragments of them that parsers and servers quote, and percent-encoded
// or escaped forms of all these. In doubt it masks a word too many: a character that could be part of a
// password does not end the password. Text over 8 KiB is cut, and marked as cut.
//
// Text searches for each kind of secret in the whole text, whatever else was found, so that no secret hides
// another. It searches twice as much text as it returns, because a secret at the cut may be recognized only
// by the text after it.
//
// It is written by hand because package regexp would make every program that imports this module 256 KB
// larger.
func Text(text string) string {
	s := search{text: text[:min(len(text), maxWork)]}
	s.all()
	s.encoded(maxEncodings)
	return show(text, s.found)
}

// search is for the secrets in a text.
type search struct {
	text  string
	found []span

	// The last searches for white space, \n, the end of a list's item, and each kind of quote.
	word, line, list stretch
	quotes           map[quote]*stretch

	atEnd, at int // the last search for @ ended at atEnd and found the last one at at
}

func (s *search) all() {
	s.urls()
	s.urlErrors()
	s.userinfo()
	s.values()
	s.sql()
	s.flags()
	s.quotations()
	s.credentials()
	s.sasl()
	s.privateKeys()
}

// span is a secret's place in the text.
type span struct{ from, to int }

// byPlace is for package sort, which every program has already: slices.SortFunc would be another 12 KB.
type byPlace []span

func (p byPlace) Len() int           { return len(p) }
func (p byPlace) Less(i, j int) bool { return p[i].from < p[j].from }
func (p byPlace) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }

// hide, wordEnd and lineEnd are called from many places. Inlining them would make every program 8 KB larger.
//
//go:noinline
func (s *search) hide(from, to int) {
	if from < to {
		s.found = append(s.found, span{from, to})
	}
}

// show returns text with *** in place of the secrets. It cuts a long text.
func show(text string, secrets []span) string {
	sort.Sort(byPlace(secrets))
	end := runeStart(text, maxText)
	var b strings.Builder
	done := 0
	for i, secret := range secrets {
		if secret.from >= end {
			break
		}
		if i == 0 || secret.from > done {
			b.WriteString(text[done:secret.from])
			b.WriteString("***")
		}
		done = max(done, secret.to)
	}
	b.WriteString(text[min(done, end):end])
	shown := b.String()
	if len(text) <= maxText && len(shown) <= maxText {
		return shown
	}
	return shown[:runeStart(shown, maxText)] + "… (cut)"
}

// runeStart returns the last position, not after at, at which a cut does not split a character.
func runeStart(text string, at int) int {
	if at >= len(text) {
		return len(text)
	}
	for i := at; i > at-utf8.UTFMax; i-- {
		if utf8.RuneStart(text[i]) {
			return i
		}
	}
	return at
}
