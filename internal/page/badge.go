package page

import "github.com/echo-probes/echohealth/internal/snapshot"

// badge returns the badge's word for the state s, and its colour. The contrast to the white text is high
// enough to be readable. A service that starts, drains, is closed or was switched off is not down, and is
// grey.
func badge(s *snapshot.Snapshot) (word, colour string) {
	const grey = "#57606a"
	switch {
	case s.Phase == "":
		return "closed", grey
	case s.Phase != "running":
		return s.Phase, grey
	case switchedOff(s):
		return "switched off", grey
	case s.Status == "healthy":
		return s.Status, "#116329"
	case s.Status == "degraded":
		return s.Status, "#8a5700"
	}
	return s.Status, "#b3161b"
}

// AppendBadge appends an SVG image that shows the state s, for READMEs and dashboards.
func AppendBadge(b []byte, s *snapshot.Snapshot) []byte {
	word, colour := badge(s)
	return append(b, `<svg xmlns="http://www.w3.org/2000/svg" width="124" height="20" role="img" `+
		`aria-label="health: `+word+`">`+
		`<title>health: `+word+`</title>`+
		`<rect width="48" height="20" rx="3" fill="#333a42"/>`+
		`<rect x="44" width="80" height="20" rx="3" fill="`+colour+`"/>`+
		`<rect x="44" width="6" height="20" fill="`+colour+`"/>`+
		`<g fill="#fff" font-family="Verdana,sans-serif" font-size="11" text-anchor="middle">`+
		`<text x="23" y="14">health</text><text x="86" y="14">`+word+`</text></g></svg>`...)
}
