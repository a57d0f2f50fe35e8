package redact

import "strings"

// maxEncodings is the number of encodings of a text that the search decodes. Two are needed, for example, for
// a URL in the query of a URL's query.
const maxEncodings = 2

// encoded decodes the text and finds the secrets in the result.
func (s *search) encoded(depth int) {
	text, places := decode(s.text)
	if depth == 0 || places == nil {
		return
	}
	decoded := search{text: text}
	decoded.all()
	decoded.encoded(depth - 1)
	for _, secret := range decoded.found {
		s.hide(places[secret.from], places[secret.to])
	}
}

// decode returns text with one layer of escapes removed. places holds the position in text of each decoded
// byte and of the end. It is nil if there is no escape.
func decode(text string) (decoded string, places []int) {
	if strings.IndexByte(text, '%') < 0 && strings.IndexByte(text, '\\') < 0 {
		return text, nil
	}
	plain := make([]byte, 0, len(text))
	places = make([]int, 0, len(text)+1)
	for i := 0; i < len(text); {
		c, length := unescape(text[i:])
		plain, places = append(plain, c), append(places, i)
		i += length
	}
	if len(plain) == len(text) {
		return text, nil
	}
	return string(plain), append(places, len(text))
}

// escapes holds the prefixes of the two digits of an escape: in URLs, in JSON, and in Go's quotes.
var escapes = []string{"%", `\u00`, `\x`}

// unescape returns the first byte that text stands for, and the length of its escape.
func unescape(text string) (c byte, length int) {
	if strings.HasPrefix(text, `\/`) { // of JSON
		return '/', 2
	}
	for _, escape := range escapes {
		if n := len(escape); len(text) >= n+2 && text[:n] == escape {
			high, low := digit(text[n]), digit(text[n+1])
			if high >= 0 && low >= 0 {
				return byte(high<<4 | low), n + 2
			}
		}
	}
	return text[0], 1
}

// digit is the value of a hexadecimal digit, -1 of anything else.
func digit(c byte) int {
	value := strings.IndexByte("0123456789abcdefABCDEF", c)
	if value > 0xf {
		value -= 6
	}
	return value
}
