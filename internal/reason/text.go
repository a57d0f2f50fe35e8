package reason

import (
	"strings"

	"github.com/echo-probes/echohealth/probes"
)

// readText is for errors that have only a fixed text, or whose text says more than the wrapped error.
func (c *cause) readText(text string) {
	text = ends(text)
	reason := lookIn(text, answerTexts)
	if reason == "" && c.rank >= fileError {
		reason = lookIn(text, texts)
	}
	if reason != "" {
		c.reason = reason
	}
}

// word is the reason for a code or a text. Tables of words are slices. A map would need 4 KB of code to build
// it at the start.
type word struct {
	text   string
	reason probes.Reason
}

// lookUp returns the reason for code.
func lookUp(table []word, code string) probes.Reason {
	for _, w := range table {
		if w.text == code {
			return w.reason
		}
	}
	return ""
}

// lookIn returns the reason for the first of the texts that is in text.
func lookIn(text string, table []word) probes.Reason {
	for _, w := range table {
		if strings.Contains(text, w.text) {
			return w.reason
		}
	}
	return ""
}

// answerTexts are the errors of pgx for a server that does not match target_session_attrs.
var answerTexts = []word{
	{"read only connection", probes.ReasonReadOnly},
	{"server is in standby mode", probes.ReasonReadOnly},
}

// lookFor returns the reason for the first entry of table that text contains as a separate part. An entry in
// the middle of a sentence does not count.
func lookFor(text string, table []word) probes.Reason {
	for _, w := range table {
		before, after, found := strings.Cut(text, w.text)
		if found && (before == "" || strings.HasSuffix(before, ": ")) &&
			(after == "" || after[0] == ':' || after[0] == '.' || strings.HasPrefix(after, " (")) {
			return w.reason
		}
	}
	return ""
}

var texts = []word{
	{"cannot parse `", probes.ReasonMisconfigured}, // pgx: the connection string, or a file that it names
	{"sql: database is closed", probes.ReasonClientClosed},
	{"closed pool", probes.ReasonClientClosed}, // puddle, below pgxpool
	{"redis: client is closed", probes.ReasonClientClosed},
	{"redis: connection pool timeout", probes.ReasonPoolSaturated},
	{"redis: connection pool exhausted", probes.ReasonPoolSaturated},
	{"driver: bad connection", probes.ReasonConnectionLost},
	{"server refused TLS connection", probes.ReasonTLSError},      // pgx
	{"SSL is not enabled on the server", probes.ReasonTLSError},   // lib/pq
	{"server gave HTTP response to HTTPS", probes.ReasonTLSError}, // net/http
	{"tls: ", probes.ReasonTLSError},                              // alerts are of an unexported type
}

// maxText is how many bytes of a text are searched.
const maxText = 16 << 10

// ends returns the part of text to search. This is the whole text, or the beginning and the end of a long
// text: the text of a wrapped error may be at either end.
func ends(text string) string {
	if len(text) <= maxText {
		return text
	}
	return text[:maxText/2] + text[len(text)-maxText/2:]
}
