package classify

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	maxText = 8 << 10  // of a logged error: a probe may have put a whole answer into its own
	maxWork = 64 << 10 // of what is searched for passwords, so that a huge text costs no more than a large one
)

// Text is err's text with every password in it masked, cut after 8 KiB; empty for nil. An error whose Error method panics
// (a typed nil pointer, say) is named by its type.
func Text(err error) (text string) {
	if err == nil {
		return ""
	}
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("an error of type %T, whose Error method panics", err)
		}
	}()
	return Mask(err.Error())
}

// Mask replaces the passwords in text by ***: in URLs (scheme://user:password@host), key=value pairs and HTTP
// credentials, in the fragments of them that parsers quote too. It rather hides a word too many than one too few: passwords
// are cut at no character that could be part of one. Text over 8 KiB is cut.
//
// It is written by hand because package regexp would make every program that imports this module 256 KB larger.
func Mask(text string) string {
	if len(text) > maxWork {
		text = text[:tokenBefore(text, maxWork, spaces)] // half a URL would not be known as one
	}
	text = maskEach(text, urlPassword)
	for _, opening := range quoting {
		text = maskEach(text, func(text string, at int) (int, int) { return quotedAfter(text, at, opening) })
	}
	for _, network := range []string{"@tcp(", "@udp(", "@unix("} {
		text = maskEach(text, func(text string, at int) (int, int) { return mysqlPassword(text, at, network) })
	}
	text = maskEach(text, tail)
	for _, key := range keys {
		text = maskEach(text, func(text string, at int) (int, int) { return valueOf(text, at, key.word, key.delimiters) })
	}
	for _, scheme := range []string{"bearer ", "basic "} {
		text = maskEach(text, func(text string, at int) (int, int) { return credentials(text, at, scheme) })
	}
	return cut(text)
}

const spaces = " \t\r\n"

// A finder returns the bounds of the next secret at or after at, or -1. They may be equal, where there is nothing to hide
// up to there.
type finder func(text string, at int) (from, to int)

func maskEach(text string, find finder) string {
	var b strings.Builder
	done := 0
	for at := 0; at < len(text); {
		from, to := find(text, at)
		if from < 0 {
			break
		}
		if from = max(from, done); from < to {
			b.WriteString(text[done:from])
			b.WriteString("***")
			done = to
		}
		at = max(to, at+1)
	}
	if done == 0 {
		return text
	}
	b.WriteString(text[done:])
	return b.String()
}

// urlPassword finds what is between scheme://user: and the last @ that can belong to it: the one before the closing quote
// where the URL is quoted, else before the next white space. What net/url quotes because it can't read it may have lost its @
// with the rest of the password behind a #, and is hidden to the quote.
func urlPassword(text string, at int) (from, to int) {
	separator := index(text, "://", at)
	if separator < 0 {
		return -1, -1
	}
	scheme := separator
	for scheme > 0 && isSchemeByte(text[scheme-1]) {
		scheme--
	}
	user := separator + len("://")
	colon := user + strings.IndexAny(text[user:]+"@", ":@/\""+spaces)
	if colon >= len(text) || text[colon] != ':' {
		return user, user
	}
	from = colon + 1
	end := nextSpace(text, from)
	if scheme > 0 && text[scheme-1] == '"' {
		end = closingQuote(text, from, '"')
		if strings.HasSuffix(text[:scheme], `parse "`) {
			return from, end
		}
	}
	if last := strings.LastIndexByte(text[from:end], '@'); last >= 0 {
		return from, from + last
	}
	return user, user
}

// quoting is how net/url begins to quote what may be a part of a password.
var quoting = []string{`invalid port "`, `invalid URL escape "`, `invalid character "`}

func quotedAfter(text string, at int, opening string) (from, to int) {
	if from = index(text, opening, at); from < 0 {
		return -1, -1
	}
	from += len(opening)
	return from, closingQuote(text, from, '"')
}

// mysqlPassword finds the password in a DSN of MySQL's driver: user:password@tcp(host)/.
func mysqlPassword(text string, at int, network string) (from, to int) {
	to = index(text, network, at)
	if to < 0 {
		return -1, -1
	}
	begin := tokenBefore(text, to, spaces)
	if colon := strings.IndexByte(text[begin:to], ':'); colon >= 0 {
		return begin + colon + 1, to
	}
	return to, to
}

// tail finds the end of a password before @host:port, which is what a parser leaves of a URL that it cut at a character of
// the password.
func tail(text string, at int) (from, to int) {
	to = index(text, "@", at)
	if to < 0 {
		return -1, -1
	}
	from = tokenBefore(text, to, spaces+"\"'@")
	if from < at || !isHostPort(text[to+1:]) || strings.HasSuffix(text[from:to], ":***") {
		return to + 1, to + 1
	}
	return from, to
}

// isHostPort reports whether text begins with host:digit.
func isHostPort(text string) bool {
	colon := strings.IndexByte(text, ':')
	if strings.HasPrefix(text, "[") {
		colon = strings.Index(text, "]:") + 1
	}
	if colon <= 0 || colon+1 >= len(text) || text[colon+1] < '0' || text[colon+1] > '9' {
		return false
	}
	return !strings.ContainsAny(text[:colon], spaces+"\"'@/")
}

// keys are the words that end the name of a secret, and what may stand between the name and the secret. In plain prose
// "token: x" is no secret.
var keys = []struct{ word, delimiters string }{
	{"password", "=:"}, {"passwd", "=:"}, {"passphrase", "=:"}, {"pwd", "=:"},
	{"secret", "="}, {"token", "="}, {"api_key", "="}, {"api-key", "="}, {"apikey", "="}, {"access_key", "="}, {"access-key", "="},
}

// valueOf finds the value behind a key, in its quotes where it has some, else up to the next white space: there is hardly a
// character that ends a password for certain.
func valueOf(text string, at int, word, delimiters string) (from, to int) {
	key := indexFold(text, word, at)
	if key < 0 {
		return -1, -1
	}
	from = key + len(word)
	if from < len(text) && (text[from] == '"' || text[from] == '\'') {
		from++ // the key itself is quoted
	}
	from = skipSpaces(text, from)
	if from >= len(text) || strings.IndexByte(delimiters, text[from]) < 0 {
		return key + len(word), key + len(word)
	}
	from = skipSpaces(text, from+1)
	if from < len(text) && (text[from] == '"' || text[from] == '\'') {
		return from, min(len(text), closingQuote(text, from+1, text[from])+1)
	}
	return from, nextSpace(text, from)
}

// credentials finds what follows the scheme of an Authorization header, where it is long enough to be no word.
func credentials(text string, at int, scheme string) (from, to int) {
	begin := indexFold(text, scheme, at)
	if begin < 0 {
		return -1, -1
	}
	from = skipSpaces(text, begin+len(scheme))
	to = nextSpace(text, from)
	if begin > 0 && isSchemeByte(text[begin-1]) || to-from < 8 {
		return from, from
	}
	return from, to
}

func cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	end := maxText
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "… (cut)"
}

func index(text, part string, at int) int {
	if i := strings.Index(text[at:], part); i >= 0 {
		return at + i
	}
	return -1
}

// indexFold is index without regard to the case of ASCII letters.
func indexFold(text, part string, at int) int {
	for i := at; i+len(part) <= len(text); i++ {
		if strings.EqualFold(text[i:i+len(part)], part) {
			return i
		}
	}
	return -1
}

// closingQuote returns where the quote is that ends what begins at at, or the end of text.
func closingQuote(text string, at int, quote byte) int {
	for i := at; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case quote:
			return i
		}
	}
	return len(text)
}

// tokenBefore returns where the run of bytes begins that ends at end and has none of stops.
func tokenBefore(text string, end int, stops string) int {
	return strings.LastIndexAny(text[:end], stops) + 1
}

func nextSpace(text string, at int) int {
	if i := strings.IndexAny(text[at:], spaces); i >= 0 {
		return at + i
	}
	return len(text)
}

func skipSpaces(text string, at int) int {
	for at < len(text) && (text[at] == ' ' || text[at] == '\t') {
		at++
	}
	return at
}

func isSchemeByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '+' || c == '.' || c == '-'
}
