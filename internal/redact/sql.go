package redact

import "strings"

// sql finds the passwords in SQL statements, after PASSWORD and after IDENTIFIED BY.
func (s *search) sql() {
	for i := range len(s.text) {
		if c := s.text[i]; c != '\'' && c != '"' {
			continue
		}
		before := strings.TrimSuffix(s.text[max(0, i-2*maxKey):i], "E") // PostgreSQL has strings of the form E'x'
		name := strings.TrimRight(before, spaces+"(")
		if k := keyBefore(name); name != before && k.kind == certain && !k.quoted {
			s.hideValue(i, 0)
		}
	}
	eachFold(s.text, "identified", s.hideIdentification)
}

// hideIdentification hides the value after IDENTIFIED BY, after IDENTIFIED BY PASSWORD, and after BY or AS in
// IDENTIFIED WITH plugin. It does not hide prose such as "Identified by its name".
func (s *search) hideIdentification(at int) {
	begin := at + len("identified")
	clause := s.text[begin:min(len(s.text), begin+2*maxKey)]
	for _, word := range []string{"by", "as"} {
		eachFold(clause, word, func(i int) {
			end := begin + i + len(word)
			value := skip(s.text, end, spaces)
			if i == 0 || !isSpace(clause, i-1) || value == end {
				return
			}
			if _, _, quoted := quoteAt(s.text, value); quoted || strings.HasPrefix(s.text[at:], "IDENTIFIED") {
				s.hideValue(value, 0)
			}
		})
	}
}
