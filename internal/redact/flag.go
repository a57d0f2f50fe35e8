package redact

import "strings"

// flags finds the passwords in the arguments of a command: after --password, also if both are quoted, and
// after -p if the line has a -u. The method values finds --password=x.
func (s *search) flags() {
	each(s.text, "-", func(at int) {
		if at > 0 && strings.IndexByte(spaces+quotes+"[({", s.text[at-1]) < 0 {
			return
		}
		end := at
		for end < len(s.text) && isNameByte(s.text[end]) {
			end++
		}
		switch kind := keyBefore(s.text[:end]).kind; {
		case kind == certain, kind == likely:
			s.hideArgument(end, isAboutFlag)
		case s.text[at:end] == "-p" && s.hasUser(at):
			s.hideArgument(end, isPortOrPath)
		}
	})
}

// hideArgument hides the argument that follows a flag on the same line. It does nothing if isNone returns
// true for the next word.
func (s *search) hideArgument(flagEnd int, isNone func(word string) bool) {
	at := flagEnd
	if at < len(s.text) && isQuote(s.text[at]) {
		at++
	}
	from := skip(s.text, skip(s.text, at, ","), " \t")
	word := s.text[from:s.wordEnd(from)]
	if from > flagEnd && word != "" && word[0] != '-' && !isNone(word) {
		s.hideValue(from, 0)
	}
}

// isAboutFlag reports whether word continues a sentence about the flag, as in "--password is required".
func isAboutFlag(word string) bool {
	const words = " a an and are as at by can cannot flag for from has in is must needs not of on option or " +
		"requires the to was with without "
	return strings.Contains(words, " "+strings.TrimRight(word, ",;:.)")+" ")
}

// isPortOrPath reports whether the word after -p is more likely a port or a path than a password.
func isPortOrPath(word string) bool {
	return word[0] == '/' || '0' <= word[0] && word[0] <= '9' && isPort(word)
}

// hasUser reports whether -u or --user precedes the position at on its line. Then -p is followed by a
// password, and otherwise by a port or a path.
func (s *search) hasUser(at int) bool {
	line := s.text[max(0, at-maxHost):at]
	line = line[strings.LastIndexByte(line, '\n')+1:]
	return strings.Contains(line, " -u") || strings.Contains(line, " --user")
}
