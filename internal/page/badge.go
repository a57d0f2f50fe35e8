package page

// colour returns the badge's colour for a status. The contrast to the white text is high enough to be
// readable.
func colour(status string) string {
	switch status {
	case "healthy":
		return "#116329"
	case "degraded":
		return "#8a5700"
	case "unhealthy":
		return "#b3161b"
	}
	return "#57606a"
}

// AppendBadge appends an SVG image that shows the status, for READMEs and dashboards.
func AppendBadge(b []byte, status string) []byte {
	return append(b, `<svg xmlns="http://www.w3.org/2000/svg" width="124" height="20" role="img" `+
		`aria-label="health: `+status+`">`+
		`<title>health: `+status+`</title>`+
		`<rect width="48" height="20" rx="3" fill="#333a42"/>`+
		`<rect x="44" width="80" height="20" rx="3" fill="`+colour(status)+`"/>`+
		`<rect x="44" width="6" height="20" fill="`+colour(status)+`"/>`+
		`<g fill="#fff" font-family="Verdana,sans-serif" font-size="11" text-anchor="middle">`+
		`<text x="23" y="14">health</text><text x="86" y="14">`+status+`</text></g></svg>`...)
}
