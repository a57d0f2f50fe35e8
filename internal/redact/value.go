package redact

import "strings"

// values finds the values of keys that name a secret, as in password=x, "token": "x" and Authorization:
// Bearer x.
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

// kind says how certainly a key names a secret.
type kind int

const (
	harmless      kind = iota
	likely             // not in plain prose, such as "unexpected token: x"
	certain            // in plain prose too
	authorization      // the same, and the value may begin with a scheme, which is not a secret
	cookies            // the value is a list of name=value; "cookie: not found" is prose
)

// keys holds the ends of the names of secrets, in lower case and without - and _.
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

// key is the name before a delimiter.
type key struct {
	kind     kind
	quoted   bool
	compound bool // such as client_secret, clientSecret or X-Auth-Token, which prose does not contain
	after    byte // the last byte before the name that is not blank; 0 if there is none
}

// maxKey is longer than every entry of keys.
const maxKey = 24

// keyBefore reads the key at the end of text. Its quotes may be escaped, in JSON that is quoted itself.
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
	case end == "pass", k.compound && strings.HasSuffix(end, "pass"): // but no compass
		k.kind = likely
	case end == "sig" && strings.IndexByte("?&;", k.after) >= 0: // of Azure's URLs, but no signal
		k.kind = likely
	}
	return k
}

// read returns the last letters, in lower case, of the name at the end of text. It sets compound and after.
func (k *key) read(text string) string {
	var name [maxKey]byte
	begin, first, capitals := len(name), byte(0), false
	i := len(text) - 1
	for ; i >= 0 && begin > 0 && isNameByte(text[i]); i-- {
		switch c := text[i]; c {
		case '_', '-', '.':
			k.compound = true
		default:
			if c >= 'A' { // no digit
				begin--
				name[begin] = c | 0x20
				first, capitals = c, capitals || c <= 'Z'
			}
		}
	}
	// clientSecret is a compound name, BearerToken is not: Go's errors begin like that.
	k.compound = k.compound || capitals && first >= 'a'
	if before := strings.TrimRight(text[:i+1], " \t"); before != "" {
		k.after = before[len(before)-1]
	}
	return string(name[begin:])
}

func isNameByte(c byte) bool { return c == '_' || isSchemeByte(c) }

// hideValue hides the value after a delimiter. A value in quotes or braces ends with them. Any other value
// ends at the next white space or at end, whichever is later, because almost any other character can be part
// of a password. The value may begin on the next line.
func (s *search) hideValue(at, end int) {
	from := skip(s.text, at, spaces)
	begin := skip(s.text, from, spaces+"=>[(") // of =>, ==, and a list
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

// bracketsEnd returns the end of the word after end if a list began between from and begin. Without a list it
// returns 0.
func (s *search) bracketsEnd(from, begin, end int) int {
	if strings.ContainsAny(s.text[from:begin], "[(") {
		return s.wordEnd(end)
	}
	return 0
}

// listItemEnd returns the end of a value in a list of "Key=value;" items, such as an ADO connection string.
// Such a value may contain blanks. It returns 0 if there is no such list.
func (s *search) listItemEnd(delimiter int, k key) int {
	if s.text[delimiter] != '=' {
		return 0
	}
	line := s.lineEnd(delimiter)
	switch end := s.list.end(delimiter, s.findItemEnd); {
	case end < line:
		return end
	case k.after == ';': // the last item: only a quote separates it from the text after the list
		for end = delimiter + 1; end < line && (!isQuote(s.text[end]) || !endsWord(s.text[end+1:], false)); {
			end++
		}
		return end
	}
	return 0
}

// findItemEnd returns the position of the next ; that ends an item. If there is none, it returns the end of
// the line.
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

// endsList reports whether the ; before text ends an item: text is empty, or begins with the next item or
// with a quote.
func endsList(text string) bool {
	text = strings.TrimLeft(text, " \t")
	if text == "" || isQuote(text[0]) {
		return true
	}
	name, _, found := strings.Cut(text[:min(len(text), maxListKey)], "=")
	isOther := func(r rune) bool { return r != ' ' && (r > 'z' || !isNameByte(byte(r))) }
	return found && strings.IndexFunc(name, isOther) < 0
}

// hideCookies hides the list of name=value after Cookie: or Set-Cookie:, up to the end of the line.
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

// hideAuthorization hides the credentials after "Authorization:", with or without quotes.
func (s *search) hideAuthorization(at int) {
	begin := skip(s.text, at, spaces+"=>[(")
	if _, _, quoted := quoteAt(s.text, begin); quoted {
		s.hideValue(at, 0)
		return
	}
	s.hide(s.authorizationValue(begin))
}

// authorizationValue returns the bounds of the credentials. With a known scheme, as in "Bearer x", these are
// x. Otherwise they are the whole of "SSWS x" or "x".
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

// credentials finds the credentials after the scheme of an Authorization header if the header's name is
// missing. They must be too long for a word of prose. "Basic authentication" is prose, because base64
// contains capitals.
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

// privateKeys finds the text between the first and the last line of a PEM block, however the lines are
// joined.
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

// maxHeader is more than the first line of a PEM block has.
const maxHeader = 64

// isWord reports whether text consists of small letters and hyphens.
func isWord(text string) bool { return strings.Trim(text, "abcdefghijklmnopqrstuvwxyz-") == "" }
