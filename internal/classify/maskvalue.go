package classify

import "strings"

// values finds the values of keys that name a secret, as in password=x, "token": "x" and Authorization: Bearer x.
func (s *search) values() {
	for i := range len(s.text) {
		c := s.text[i]
		if c != '=' && c != ':' || strings.HasPrefix(s.text[i:], "://") {
			continue
		}
		switch k := keyBefore(s.text[:i]); {
		case k.kind == authorization:
			s.hideValue(i+1, true)
		case k.kind == certain, k.kind == likely && (c == '=' || k.quoted || k.compound || !isSpace(s.text, i+1)):
			s.hideValue(i+1, false)
		}
	}
}

// kind is how sure it is that a key names a secret.
type kind int

const (
	harmless      kind = iota
	likely             // not in plain prose, such as "unexpected token: x"
	certain            // also there
	authorization      // and its value may begin with a scheme, which is no secret
)

// keys are how the names of secrets end, without case, - and _.
var keys = []struct {
	end  string
	kind kind
}{
	{"password", certain}, {"passwd", certain}, {"passphrase", certain}, {"passcode", certain}, {"pwd", certain},
	{"apikey", certain}, {"accesskey", certain}, {"secretkey", certain}, {"privatekey", certain}, {"accountkey", certain},
	{"secret", likely}, {"token", likely}, {"signature", likely},
	{"authorization", authorization},
}

// key is what stands before a delimiter.
type key struct {
	kind     kind
	quoted   bool
	compound bool // like client_secret, clientSecret or X-Auth-Token: no word of prose
}

// maxKey is more than the end of a name has to be to be known.
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
	if end == "pass" || k.compound && strings.HasSuffix(end, "pass") { // but no compass
		k.kind = likely
	}
	return k
}

// read returns the letters at the end of the name at the end of text, in lower case, and takes note of what is between them.
func (k *key) read(text string) string {
	var name [maxKey]byte
	begin, first, capitals := len(name), byte(0), false
	for i := len(text) - 1; i >= 0 && begin > 0 && isNameByte(text[i]); i-- {
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
	k.compound = k.compound || capitals && first >= 'a' // clientSecret, but not BearerToken: so Go's errors begin
	return string(name[begin:])
}

func isNameByte(c byte) bool { return c == '_' || isSchemeByte(c) && c != '+' }

// hideValue hides the value behind a delimiter, in its quotes where it has some, else up to the next white space: there
// is hardly a character that ends a password for certain. It may begin on the next line.
func (s *search) hideValue(at int, scheme bool) {
	from := skip(s.text, at, spaces)
	begin := skip(s.text, from, spaces+"=>[(") // of =>, ==, and a list
	q, content, quoted := quoteAt(s.text, begin)
	switch {
	case quoted:
		end := s.closing(content, q)
		s.hide(from, max(min(end+1, len(s.text)), s.listEnd(from, begin, end)))
	case scheme:
		s.hide(s.authorizationValue(begin))
	default:
		s.hide(from, s.wordEnd(begin))
	}
}

// listEnd returns where the word ends in which a list does that began between from and begin.
func (s *search) listEnd(from, begin, end int) int {
	if strings.ContainsAny(s.text[from:begin], "[(") {
		return s.wordEnd(end)
	}
	return 0
}

// authorizationValue returns the bounds of the credentials in "Bearer x", where the scheme is known, or of "SSWS x" or "x".
func (s *search) authorizationValue(at int) (from, to int) {
	end := s.wordEnd(at)
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

// credentials finds what follows the scheme of an Authorization header where the header's name is missing, if it is long enough
// to be no word. "Basic authentication" is prose: base64 has capitals.
func (s *search) credentials() {
	for _, scheme := range []string{"bearer", "basic"} {
		eachFold(s.text, scheme, func(at int) {
			end := at + len(scheme)
			from := skip(s.text, end, spaces)
			to := s.wordEnd(from)
			if q, ok := quoteBefore(s.text, at); ok {
				to = s.closing(from, q)
			}
			prose := to-from < 8 || scheme == "basic" && isWord(s.text[from:to])
			if from > end && !prose && (at == 0 || !isSchemeByte(s.text[at-1])) {
				s.hide(from, to)
			}
		})
	}
}

// privateKeys finds what is between the lines of a PEM block, however they are joined.
func (s *search) privateKeys() {
	each(s.text, "PRIVATE KEY-----", func(at int) {
		from := at + len("PRIVATE KEY-----")
		to := strings.Index(s.text[from:], "-----END")
		if to < 0 {
			to = len(s.text) - from
		}
		if strings.LastIndex(s.text[:at], "-----BEGIN") > strings.LastIndex(s.text[:at], "-----END") {
			s.hide(from, from+to)
		}
	})
}

// isWord reports whether text consists of small letters and hyphens.
func isWord(text string) bool { return strings.Trim(text, "abcdefghijklmnopqrstuvwxyz-") == "" }
