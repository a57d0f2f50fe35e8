package page

import "github.com/echo-probes/echohealth/internal/snapshot"

// summary returns the state s in one or two words, and the colours of the badge and of the favicon. The
// contrast of the badge's colour to its white text is high enough to be readable. A service that starts,
// drains, is closed or was switched off is not down, and is grey.
func summary(s *snapshot.Snapshot) (word, badge, icon string) {
	switch {
	case s.Phase == "":
		word = "closed"
	case s.Phase != "running":
		word = s.Phase
	case switchedOff(s):
		word = "switched off"
	case s.Status == "healthy":
		return s.Status, "116329", "1a7f37"
	case s.Status == "degraded":
		return s.Status, "8a5700", "bf8700"
	default:
		return s.Status, "b3161b", "cf222e"
	}
	return word, "57606a", "6e7781"
}

// AppendBadge appends an SVG image that shows the state s, for READMEs and dashboards.
func AppendBadge(b []byte, s *snapshot.Snapshot) []byte {
	word, colour, _ := summary(s)
	return append(b, `<svg xmlns="http://www.w3.org/2000/svg" width="124" height="20" role="img" `+
		`aria-label="health: `+word+`">`+
		`<title>health: `+word+`</title>`+
		`<rect width="48" height="20" rx="3" fill="#333a42"/>`+
		`<rect x="44" width="80" height="20" rx="3" fill="#`+colour+`"/>`+
		`<rect x="44" width="6" height="20" fill="#`+colour+`"/>`+
		`<g fill="#fff" font-family="Verdana,sans-serif" font-size="11" text-anchor="middle">`+
		`<text x="23" y="14">health</text><text x="86" y="14">`+word+`</text></g></svg>`...)
}
