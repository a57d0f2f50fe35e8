package redact

import "strings"

// urls finds the passwords in URLs: the text between scheme://user: and the last @ that can belong to the
// URL. The URL ends at its closing quote or at the next white space, whichever comes later. If there is no
// colon before the @, all the text before the @ may be a token.
func (s *search) urls() {
	each(s.text, "://", func(separator int) {
		user := separator + len("://")
		end := s.wordEnd(user)
		if q, ok := quoteBefore(s.text, schemeStart(s.text, separator)); ok {
			end = s.closing(user, q)
		}
		colon := user + strings.IndexAny(s.text[user:end], ":@/")
		switch s.text[colon] { // without a match this is the / before user
		case '@':
			s.hide(user, user+strings.LastIndexByte(s.text[user:s.authorityEnd(user)], '@'))
		case ':':
			if !isPort(s.text[colon+1:]) {
				end = max(end, s.wordEnd(user))
			}
			s.hideURLPassword(colon+1, end)
		}
	})
}

// hideURLPassword hides the password that begins at from and ends before an @. If there is no @ before end,
// the password may contain white space or quotes that were not escaped. Then it ends at the last @ of the
// line.
func (s *search) hideURLPassword(from, end int) {
	to := s.lastAt(from, end)
	if to < 0 && !isPort(s.text[from:]) {
		to = from + strings.LastIndexByte(s.text[from:s.urlLineEnd(from)], '@')
	}
	s.hide(from, to)
}

// urlLineEnd returns the end of the line, or the position of the next "://" if that comes first.
func (s *search) urlLineEnd(at int) int {
	return min(s.next(at, "://"), s.lineEnd(at))
}

// authorityEnd returns the end of the URL's authority (user, password and host), which contains the position
// at.
func (s *search) authorityEnd(at int) int {
	if i := strings.IndexAny(s.text[at:], spaces+quotes+"/?#"); i >= 0 {
		return at + i
	}
	return len(s.text)
}

// isPort reports whether text is empty, or begins with a port number before a delimiter or the end. Otherwise
// text begins with a password.
func isPort(text string) bool {
	digits := 0
	for digits < len(text) && '0' <= text[digits] && text[digits] <= '9' {
		digits++
	}
	return digits == len(text) || digits <= 5 && strings.IndexByte(spaces+"/?#:,;)]}>\"'`\\", text[digits]) >= 0
}

func schemeStart(text string, end int) int {
	for end > 0 && isSchemeByte(text[end-1]) {
		end--
	}
	return end
}

// parserQuotes holds the texts of net/url's errors before a quotation. The quoted text can be a part of a
// password.
var parserQuotes = []string{`invalid port "`, `invalid URL escape "`, `invalid character "`}

// urlErrors finds the passwords in the URLs and parts of URLs that net/url quotes in its errors. The quoted
// text may lack the @ after the password, because net/url cuts a URL at the first #.
func (s *search) urlErrors() {
	for _, begin := range parserQuotes {
		each(s.text, begin, func(at int) {
			from := at + len(begin)
			s.hide(from, closingQuote(s.text, from))
		})
	}
	const parse = `parse "`
	each(s.text, parse, func(at int) {
		from := at + len(parse)
		to := closingQuote(s.text, from)
		_, authority, isURL := strings.Cut(s.text[from:to], "://")
		colon := strings.IndexAny(authority, ":@/")
		switch {
		case colon >= 0 && authority[colon] == ':':
			s.hide(to-len(authority)+colon+1, to)
		case colon >= 0 && authority[colon] == '@':
			from = to - len(authority)
			fallthrough
		case !isURL:
			s.hide(from, from+strings.LastIndexByte(s.text[from:to], '@'))
		}
	})
}

// userinfo finds passwords before an @ in words without a scheme: in DSNs of MySQL's driver, such as
// user:password@tcp(host)/, and in the rest of a URL that a parser has cut at a character of the password.
func (s *search) userinfo() {
	word, rest, colon := 0, 0, -1 // the word's beginning, the end of its last quote, its first colon
	for i := range len(s.text) {
		switch s.text[i] {
		case ' ', '\t', '\r', '\n':
			word, rest, colon = i+1, i+1, -1
		case '"', '\'':
			rest = i + 1
		case ':':
			if strings.HasPrefix(s.text[i:], "://") {
				word, colon = i+len("://"), -1
			} else if colon < 0 {
				colon = i
			}
		case '@':
			s.hideUserinfo(max(rest, word), colon, i)
		}
	}
}

func (s *search) hideUserinfo(from, colon, at int) {
	after := s.text[at+1 : min(len(s.text), at+1+maxHost)]
	if colon >= 0 && isMySQLAddress(after) {
		s.hide(colon+1, at)
	}
	if isHostPort(after) && !s.isURLUser(from, at) {
		s.hide(from, at)
	}
}

// isURLUser reports whether the text between from and at is the user and password of a URL. The method urls
// hides these.
func (s *search) isURLUser(from, at int) bool {
	if !strings.HasSuffix(s.text[:from], "://") {
		return false
	}
	colon := strings.IndexAny(s.text[from:at], ":/")
	return colon >= 0 && s.text[from+colon] == ':'
}

// maxHost is the number of bytes of an address that are examined.
const maxHost = 255

// isMySQLAddress reports whether text begins with /database or network(address).
func isMySQLAddress(text string) bool {
	i := 0
	for i < len(text) && isSchemeByte(text[i]) {
		i++
	}
	return i < len(text) && (text[i] == '(' || i == 0 && text[i] == '/')
}

// isHostPort reports whether text begins with a host, a colon and a digit.
func isHostPort(text string) bool {
	colon := strings.IndexByte(text, ':')
	if strings.HasPrefix(text, "[") {
		colon = strings.Index(text, "]:") + 1
	}
	if colon <= 0 || colon+1 >= len(text) || text[colon+1] < '0' || text[colon+1] > '9' {
		return false
	}
	return !strings.ContainsAny(text[:colon], spaces+"\"'@/(")
}
