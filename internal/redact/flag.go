package redact

import "strings"

// flags finds the passwords in the arguments of a command: --password x, "--password", "x", and -p x behind a
// -u. --password=x is found as any other value is.
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

// hideArgument hides the argument that follows a flag on the same line, unless the next word is not an
// argument.
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

// isAboutFlag reports whether word goes on with a sentence: "--password is required".
func isAboutFlag(word string) bool {
	const words = " a an and are as at by can cannot flag for from has in is must needs not of on option or " +
		"requires the to was with without "
	return strings.Contains(words, " "+strings.TrimRight(word, ",;:.)")+" ")
}

// isPortOrPath reports whether word, behind a -p, is more likely one of these than a password.
func isPortOrPath(word string) bool {
	return word[0] == '/' || '0' <= word[0] && word[0] <= '9' && isPort(word)
}

// hasUser reports whether a -u is before at on its line, so that -p means a password, not a port or path.
func (s *search) hasUser(at int) bool {
	line := s.text[max(0, at-maxHost):at]
	line = line[strings.LastIndexByte(line, '\n')+1:]
	return strings.Contains(line, " -u") || strings.Contains(line, " --user")
}
