package reason

import (
	"strings"

	"github.com/echo-probes/echohealth/probes"
)

// readText sets c's reason by the text of the whole error, if the text says more than the errors in the tree.
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

// word is the reason for a code or a text. The tables of words are slices, because a map would need 4 KB of
// code for its initialization.
type word struct {
	text   string
	reason probes.Reason
}

// lookUp returns the reason of the word whose text equals code.
func lookUp(table []word, code string) probes.Reason {
	for _, w := range table {
		if w.text == code {
			return w.reason
		}
	}
	return ""
}

// lookIn returns the reason of the first word of table that text contains.
func lookIn(text string, table []word) probes.Reason {
	for _, w := range table {
		if strings.Contains(text, w.text) {
			return w.reason
		}
	}
	return ""
}

// answerTexts are texts of pgx's errors for a server that does not match target_session_attrs.
var answerTexts = []word{
	{"read only connection", probes.ReasonReadOnly},
	{"server is in standby mode", probes.ReasonReadOnly},
}

// lookFor returns the reason of the first word of table that text contains as a separate part: after the
// beginning or ": ", and before the end, ":", "." or " (".
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
	{"closed pool", probes.ReasonClientClosed}, // puddle, the pool that pgxpool uses
	{"redis: client is closed", probes.ReasonClientClosed},
	{"redis: connection pool timeout", probes.ReasonPoolSaturated},
	{"redis: connection pool exhausted", probes.ReasonPoolSaturated},
	{"driver: bad connection", probes.ReasonConnectionLost},
	{"server refused TLS connection", probes.ReasonTLSError},      // from pgx
	{"SSL is not enabled on the server", probes.ReasonTLSError},   // from lib/pq
	{"server gave HTTP response to HTTPS", probes.ReasonTLSError}, // from net/http
	{"tls: ", probes.ReasonTLSError},                              // a tls.alert, whose type is not exported
}

// maxText is the number of bytes of a text that are searched.
const maxText = 16 << 10

// ends returns the part of text that is searched: all of a short text, and the beginning and the end of a
// long one, because the text of a wrapped error can be at either end.
func ends(text string) string {
	if len(text) <= maxText {
		return text
	}
	return text[:maxText/2] + text[len(text)-maxText/2:]
}
