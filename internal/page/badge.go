package page

// colours of the badge, with enough contrast to white.
var colours = map[string]string{"healthy": "#116329", "degraded": "#8a5700", "unhealthy": "#b3161b"}

// AppendBadge appends an SVG image with the status, for READMEs and dashboards.
func AppendBadge(b []byte, status string) []byte {
	colour, ok := colours[status]
	if !ok {
		colour = "#57606a"
	}
	return append(b, `<svg xmlns="http://www.w3.org/2000/svg" width="124" height="20" role="img" aria-label="health: `+status+`">`+
		`<title>health: `+status+`</title>`+
		`<rect width="48" height="20" rx="3" fill="#333a42"/><rect x="44" width="80" height="20" rx="3" fill="`+colour+`"/>`+
		`<rect x="44" width="6" height="20" fill="`+colour+`"/>`+
		`<g fill="#fff" font-family="Verdana,sans-serif" font-size="11" text-anchor="middle">`+
		`<text x="23" y="14">health</text><text x="86" y="14">`+status+`</text></g></svg>`...)
}
