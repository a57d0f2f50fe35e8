// Package redact makes the text of an error fit for a log: it masks passwords and shortens long texts. It
// imports only the standard library.
package redact

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

const (
	maxText = 8 << 10  // the limit in bytes of a logged text: an error can contain a whole answer
	maxWork = 16 << 10 // the limit in bytes of the searched part, because a huge text would take long
)

// Error returns Text of err's text, and "" for nil. If err's Error method panics, as that of a typed nil
// pointer may, Error returns a text with err's type.
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

// Text returns text with *** in place of each password. It finds passwords in URLs
// (scheme://user:password@host), DSNs of MySQL (user:password@tcp(host)/), key=value pairs, JSON, SQL, flags
// of commands, cookies, private keys, and credentials of HTTP and SASL. It also finds them in the fragments
// of these that parsers and servers quote, and in percent-encoded or escaped forms. In doubt Text masks too
// much: a character that could be a part of a password does not end the password. A text over 8 KiB is cut
// and marked as cut.
//
// Text searches the whole text for each kind of secret, so that a secret that it has found cannot hide
// another. It searches twice as much text as it returns, because a secret at the cut may be recognized only
// by the text after the cut.
//
// Text does not use package regexp, which would make every program that imports this module 256 KB larger.
func Text(text string) string {
	s := search{text: text[:min(len(text), maxWork)]}
	s.all()
	s.encoded(maxEncodings)
	return show(text, s.found)
}

// search is the search for the secrets in a text.
type search struct {
	text  string
	found []span

	// These hold the last searches for white space, for \n, for the end of a list's item, and for each kind of
	// quote.
	word, line, list stretch
	quotes           map[quote]*stretch

	atEnd, at int // the last search of lastAt: its end, and the position of the @ that it found
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

// span is the place of a secret in the text.
type span struct{ from, to int }

// byPlace implements sort.Interface. Every program contains package sort already, and slices.SortFunc would
// add 12 KB.
type byPlace []span

func (p byPlace) Len() int           { return len(p) }
func (p byPlace) Less(i, j int) bool { return p[i].from < p[j].from }
func (p byPlace) Swap(i, j int)      { p[i], p[j] = p[j], p[i] }

// hide must not be inlined, and neither must wordEnd and lineEnd. They have many callers, and inlining them
// would make every program 8 KB larger.
//
//go:noinline
func (s *search) hide(from, to int) {
	if from < to {
		s.found = append(s.found, span{from, to})
	}
}

// show returns text with *** in place of the secrets, and cuts a long text.
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

// runeStart returns the largest position up to at where a cut does not split a character.
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
