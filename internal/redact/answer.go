package redact

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// answerQuotes holds the texts before and after a quotation of the client's data in a server's answer,
// without white space. If end is empty, the quotation goes up to the end of the line.
var answerQuotes = []struct{ begin, end string }{
	{"args beginning with:", ""}, // of Redis, all of these
	{"nknown subcommand", "'. Try "},
	{"subcommand or wrong number of arguments for", "'. Try "},
	{"ACL SETUSER modifier", "': "},
	{"HELLO option", ""},
	{"syntax to use near", " at line "}, // of MySQL
}

// quotations finds the client's data that a server quotes because it does not understand them. This may be a
// password, for example if AUTH was renamed.
func (s *search) quotations() {
	for _, answer := range answerQuotes {
		done := 0
		each(s.text, answer.begin, func(at int) {
			from := skip(s.text, at+len(answer.begin), " \t")
			_, _, quoted := quoteAt(s.text, from)
			if at < done || answer.end != "" && !quoted {
				return
			}
			done = s.lineEnd(at)
			if end := strings.LastIndex(s.text[from:done], answer.end); end >= 0 {
				done = from + end
			}
			s.hide(from, done)
		})
	}
}

// sasl finds the passwords in SASL's answers: as PLAIN sends them, \x00user\x00password, and the same in
// base64 behind the name of the mechanism, as in SMTP's AUTH PLAIN.
func (s *search) sasl() {
	each(s.text, "\x00", func(at int) {
		user, _, found := strings.Cut(s.text[at+1:min(len(s.text), at+1+maxHost)], "\x00")
		if from := at + 1 + len(user) + 1; found && user != "" && !strings.ContainsAny(user, spaces) {
			s.hide(from, min(s.next(from, "\x00"), s.wordEnd(from)))
		}
	})
	for _, mechanism := range []string{"plain", "login"} {
		eachFold(s.text, mechanism, func(at int) {
			from := skip(s.text, at+len(mechanism), " \t=")
			if to := s.wordEnd(from); from > at+len(mechanism) && isBase64Text(s.text[from:to]) {
				s.hide(from, to)
			}
		})
	}
}

// isBase64Text reports whether word is a text in base64, with NULs or without. A word that only looks like
// base64 is hardly ever.
func isBase64Text(word string) bool {
	word = strings.TrimRight(word, quotes+`\.,;:)]}>`)
	if len(word) < 8 || len(word) > maxSASL {
		return false
	}
	text, err := base64.StdEncoding.DecodeString(word)
	isControl := func(r rune) bool { return r < ' ' && r != 0 }
	return err == nil && utf8.Valid(text) && strings.IndexFunc(string(text), isControl) < 0
}

// maxSASL is more than a name and a password have in base64.
const maxSASL = 1 << 10
