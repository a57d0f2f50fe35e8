package redact

import "strings"

// values finds the values of keys that name a secret, as in password=x, "token": "x" and "Authorization:
// Bearer x".
func (s *search) values() {
	for i := range len(s.text) {
		c := s.text[i]
		if c != '=' && c != ':' || strings.HasPrefix(s.text[i:], "://") {
			continue
		}
		k := keyBefore(s.text[:i])
		certainly := c == '=' || k.quoted || k.compound || !isSpace(s.text, i+1)
		switch {
		case k.kind == certain, k.kind == likely && certainly:
			s.hideValue(i+1, s.listItemEnd(i, k))
		case k.kind == authorization:
			s.hideAuthorization(i + 1)
		case k.kind == cookies:
			s.hideCookies(i)
		}
	}
}

// kind is how certain it is that the value of a key is a secret.
type kind int

const (
	harmless      kind = iota
	likely             // a secret except in prose, as in "unexpected token: x"
	certain            // a secret, also in prose
	authorization      // a secret, also in prose, perhaps after the name of a scheme, which is not secret
	cookies            // a list of name=value; "cookie: not found" is prose
)

// keys holds the last words of the keys that name a secret, in lower case and without "-" and "_".
var keys = []struct {
	end  string
	kind kind
}{
	{"password", certain}, {"passwd", certain}, {"passphrase", certain}, {"passcode", certain}, {"pwd", certain},
	{"apikey", certain}, {"accesskey", certain}, {"secretkey", certain}, {"privatekey", certain},
	{"accountkey", certain},
	{"secret", likely}, {"token", likely}, {"signature", likely},
	{"authorization", authorization}, {"cookie", cookies}, {"cookies", cookies},
}

// key is a name before "=" or ":".
type key struct {
	kind     kind
	quoted   bool
	compound bool // like client_secret, clientSecret and X-Auth-Token, and therefore not prose
	after    byte // the last byte before the name, without blanks; 0 if there is none
}

// maxKey is longer than every entry of keys.
const maxKey = 24

// keyBefore reads the key at the end of text. It may be quoted. If the key is in JSON that is itself quoted,
// a backslash precedes the quotes.
func keyBefore(text string) key {
	var k key
	text = strings.TrimRight(text[max(0, len(text)-2*maxKey):], " \t")
	if n := len(text); n > 0 && isQuote(text[n-1]) {
		k.quoted = true
		text = strings.TrimRight(text[:n-1], `\`)
	}
	end := k.read(text)
	for _, known := range keys {
		if strings.HasSuffix(end, known.end) {
			k.kind = known.kind
		}
	}
	switch {
	case end == "pass", k.compound && strings.HasSuffix(end, "pass"): // not "compass"
		k.kind = likely
	case end == "sig" && strings.IndexByte("?&;", k.after) >= 0: // in a query of Azure's URLs
		k.kind = likely
	}
	return k
}

// read returns the letters of the name at the end of text, in lower case and at most maxKey of them. It sets
// k.compound and k.after.
func (k *key) read(text string) string {
	var name [maxKey]byte
	begin, first, capitals := len(name), byte(0), false
	i := len(text) - 1
	for ; i >= 0 && begin > 0 && isNameByte(text[i]); i-- {
		switch c := text[i]; c {
		case '_', '-', '.':
			k.compound = true
		default:
			if c >= 'A' { // a letter, not a digit
				begin--
				name[begin] = c | 0x20
				first, capitals = c, capitals || c <= 'Z'
			}
		}
	}
	// A capital inside a name makes it compound, as in clientSecret. BearerToken is not compound, because errors
	// of Go begin in this way.
	k.compound = k.compound || capitals && first >= 'a'
	if before := strings.TrimRight(text[:i+1], " \t"); before != "" {
		k.after = before[len(before)-1]
	}
	return string(name[begin:])
}

func isNameByte(c byte) bool { return c == '_' || isSchemeByte(c) }

// hideValue hides the value that begins at the position at, or after white space there. A value in quotes or
// braces ends with these. Any other value ends at the next white space or at end, whichever is later, because
// almost any other character can be a part of a password.
func (s *search) hideValue(at, end int) {
	from := skip(s.text, at, spaces)
	begin := skip(s.text, from, spaces+"=>[(") // "=>", "==" and the beginning of a list
	if q, content, quoted := quoteAt(s.text, begin); quoted {
		closing := s.closing(content, q)
		s.hide(from, max(min(closing+1, len(s.text)), s.bracketsEnd(from, begin, closing)))
		return
	}
	if strings.HasPrefix(s.text[begin:], "{") {
		if closing := s.closing(begin, quote{mark: '}'}); closing < len(s.text) {
			end = max(end, closing+1)
		}
	}
	s.hide(from, max(end, s.wordEnd(begin)))
}

// bracketsEnd makes hideValue hide a whole list. If the text between from and begin has an opening bracket,
// it returns where the word around the position closing ends. Otherwise it returns 0.
func (s *search) bracketsEnd(from, begin, closing int) int {
	if strings.ContainsAny(s.text[from:begin], "[(") {
		return s.wordEnd(closing)
	}
	return 0
}

// listItemEnd returns the end of a value in a list of "Key=value;" items, such as an ADO connection string.
// Such a value can contain blanks. If k is not in such a list, it returns 0.
func (s *search) listItemEnd(delimiter int, k key) int {
	if s.text[delimiter] != '=' {
		return 0
	}
	line := s.lineEnd(delimiter)
	switch end := s.list.end(delimiter, s.findItemEnd); {
	case end < line:
		return end
	case k.after == ';': // the last item, which ends at a quote or with the line
		for end = delimiter + 1; end < line && (!isQuote(s.text[end]) || !endsWord(s.text[end+1:], false)); {
			end++
		}
		return end
	}
	return 0
}

// findItemEnd returns the position of the next semicolon that ends a list item, or the end of the line if
// there is none.
func (s *search) findItemEnd(at int) int {
	end := s.lineEnd(at)
	for {
		semicolon := strings.IndexByte(s.text[at:end], ';')
		if semicolon < 0 {
			return end
		}
		at += semicolon + 1
		if endsList(s.text[at:end]) {
			return at - 1
		}
	}
}

// maxListKey is longer than every key of a connection string.
const maxListKey = 40

// endsList reports whether the semicolon before text ends a list item. It does if nothing, the next item or a
// quote follows.
func endsList(text string) bool {
	text = strings.TrimLeft(text, " \t")
	if text == "" || isQuote(text[0]) {
		return true
	}
	name, _, found := strings.Cut(text[:min(len(text), maxListKey)], "=")
	isOther := func(r rune) bool { return r != ' ' && (r > 'z' || !isNameByte(byte(r))) }
	return found && strings.IndexFunc(name, isOther) < 0
}

// hideCookies hides the list of name=value after Cookie: or Set-Cookie: up to the end of the line.
func (s *search) hideCookies(delimiter int) {
	from := skip(s.text, delimiter+1, " \t[")
	_, _, quoted := quoteAt(s.text, from)
	switch {
	case !quoted && strings.IndexByte(s.text[from:s.wordEnd(from)], '=') > 0:
		s.hide(from, s.lineEnd(from))
	case quoted, s.text[delimiter] == '=':
		s.hideValue(delimiter+1, 0)
	}
}

// hideAuthorization hides the credentials after "Authorization:". They may be quoted.
func (s *search) hideAuthorization(at int) {
	begin := skip(s.text, at, spaces+"=>[(")
	if _, _, quoted := quoteAt(s.text, begin); quoted {
		s.hideValue(at, 0)
		return
	}
	s.hide(s.authorizationValue(begin))
}

// authorizationValue returns the bounds of the credentials. For "Bearer x" and other known schemes this is x
// only. For "SSWS x", whose scheme is not known, it is the whole text, as for a single word.
func (s *search) authorizationValue(at int) (from, to int) {
	end := s.wordEnd(at)
	if end-at > maxKey {
		return at, end
	}
	word := strings.ToLower(s.text[at:end])
	if !isWord(word) {
		return at, end
	}
	next := skip(s.text, end, spaces)
	switch word {
	case "bearer", "basic", "digest", "token":
		return next, s.wordEnd(next)
	}
	return at, s.wordEnd(next)
}

// credentials finds credentials that follow the scheme of an Authorization header without the header's name.
// It ignores a text that is too short for them. It also ignores a text in small letters after "basic", as in
// "Basic authentication", because credentials in base64 contain capitals.
func (s *search) credentials() {
	for _, scheme := range []string{"bearer", "basic"} {
		eachFold(s.text, scheme, func(at int) {
			end := at + len(scheme)
			from := skip(s.text, end, spaces)
			to := s.wordEnd(from)
			if q, ok := quoteBefore(s.text, at); ok {
				to = s.closing(from, q)
			}
			prose := to-from < 8 || scheme == "basic" && isWord(s.text[from+1:to])
			if from > end && !prose && (at == 0 || !isSchemeByte(s.text[at-1])) {
				s.hide(from, to)
			}
		})
	}
}

// privateKeys finds the text between the first and the last line of a PEM block. It does not rely on line
// ends, because the lines may have been joined.
func (s *search) privateKeys() {
	done := 0
	each(s.text, "-----BEGIN ", func(at int) {
		const end = "PRIVATE KEY-----"
		header := s.text[at:min(len(s.text), at+maxHeader)]
		if i := strings.Index(header, end); i >= 0 && at >= done {
			from := at + i + len(end)
			done = s.next(from, "-----END")
			s.hide(from, done)
		}
	})
}

// maxHeader is how many bytes are searched for the end of the first line of a private key in PEM. The longest
// usual line, "-----BEGIN ENCRYPTED PRIVATE KEY-----", has 37 bytes.
const maxHeader = 64

// isWord reports whether text consists of lower-case letters and hyphens.
func isWord(text string) bool { return strings.Trim(text, "abcdefghijklmnopqrstuvwxyz-") == "" }
