package redact

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// answerQuotes has the texts before and after the place in which a server's error quotes data of the client.
// White space next to that place is left out. If end is empty, the quoted data ends with the line.
var answerQuotes = []struct{ begin, end string }{
	{"args beginning with:", ""}, // from Redis, and so are the next four
	{"nknown subcommand", "'. Try "},
	{"subcommand or wrong number of arguments for", "'. Try "},
	{"ACL SETUSER modifier", "': "},
	{"HELLO option", ""},
	{"syntax to use near", " at line "}, // from MySQL
}

// quotations finds the data of the client that a server quotes in an error. The data can be a password, for
// example if the command AUTH was renamed and the server does not know it any more.
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

// sasl finds the passwords of SASL logins: the form of the mechanism PLAIN, \x00user\x00password, and base64
// text that follows the name of a mechanism, as in SMTP's AUTH PLAIN.
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

// isBase64Text reports whether word is the base64 form of a text, which can contain NUL bytes. An ordinary
// word rarely is, because its decoded bytes are not a valid text.
func isBase64Text(word string) bool {
	word = strings.TrimRight(word, quotes+`\.,;:)]}>`)
	if len(word) < 8 || len(word) > maxSASL {
		return false
	}
	text, err := base64.StdEncoding.DecodeString(word)
	isControl := func(r rune) bool { return r < ' ' && r != 0 }
	return err == nil && utf8.Valid(text) && strings.IndexFunc(string(text), isControl) < 0
}

// maxSASL is longer than a user name and a password in base64.
const maxSASL = 1 << 10
