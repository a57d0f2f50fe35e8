package redact

import "strings"

// maxEncodings is how many layers of encoding the search removes. A URL in the query of a URL that is itself
// in a query has two.
const maxEncodings = 2

// encoded searches the decoded text for secrets. depth is the number of layers of encoding to remove.
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

// decode returns text with one layer of escapes removed. places holds, for each byte of decoded and for its
// end, the position in text. It is nil if text has no escape.
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

// escapes holds what precedes the two hexadecimal digits of an escape: in a URL, in JSON, and in a Go string.
var escapes = []string{"%", `\u00`, `\x`}

// unescape returns the first byte of the decoded text, and the length of its escape in text.
func unescape(text string) (c byte, length int) {
	if strings.HasPrefix(text, `\/`) { // an escape of JSON
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

// digit returns the value of a hexadecimal digit, and -1 for any other byte.
func digit(c byte) int {
	value := strings.IndexByte("0123456789abcdefABCDEF", c)
	if value > 0xf {
		value -= 6
	}
	return value
}
