package echohealth

import (
	"slices"
	"strings"
)

// prefers reports whether a request's Accept headers name the media type wanted, and give it at least the
// quality of other. A wildcard such as */* does not name a type. If versions are given, the header's
// parameter version for wanted must be one of them or absent. See RFC 9110, section 12.5.1.
func prefers(accept []string, wanted, other string, versions ...string) bool {
	var w, o preference
	for _, header := range accept {
		for header != "" {
			var element string
			element, header, _ = strings.Cut(header, ",")
			media, parameters, _ := strings.Cut(element, ";")
			media = strings.TrimSpace(media)
			quality, version := parseParameters(parameters)
			if strings.EqualFold(media, wanted) && allowedVersion(version, versions) {
				w.take(3, quality)
			}
			o.take(specificity(media, other), quality)
		}
	}
	return w.quality > 0 && w.quality >= o.quality
}

// preference is the quality that Accept headers give a media type. Their most specific element for the type
// decides.
type preference struct {
	specificity int
	quality     float64
}

func (p *preference) take(specificity int, quality float64) {
	if specificity > p.specificity || specificity == p.specificity && quality > p.quality {
		*p = preference{specificity, quality}
	}
}

// specificity returns how exactly an element of an Accept header matches media: 3 for the media type itself,
// 2 for its type with any subtype, 1 for */*, and 0 for no match.
func specificity(element, media string) int {
	kind, _, _ := strings.Cut(media, "/")
	switch prefix, ok := strings.CutSuffix(element, "/*"); {
	case strings.EqualFold(element, media):
		return 3
	case ok && strings.EqualFold(prefix, kind):
		return 2
	case element == "*/*":
		return 1
	}
	return 0
}

// parseParameters returns the quality, 1 by default, and the version, "" by default.
func parseParameters(parameters string) (quality float64, version string) {
	quality = 1
	for parameters != "" {
		var parameter string
		parameter, parameters, _ = strings.Cut(parameters, ";")
		key, value, _ := strings.Cut(parameter, "=")
		value = strings.Trim(value, ` "`)
		switch strings.ToLower(strings.TrimSpace(key)) {
		case "q":
			quality = parseQuality(value)
		case "version":
			version = value
		}
	}
	return quality, version
}

// parseQuality parses a quality from 0 to 1 with at most three decimals, and returns 0 for any other text. It
// does not call strconv.ParseFloat, because a program that does not use that function otherwise would become
// 6 KB larger.
func parseQuality(value string) float64 {
	whole, decimals, _ := strings.Cut(value, ".")
	if whole != "0" && whole != "1" || len(decimals) > 3 {
		return 0
	}
	quality := float64(whole[0] - '0')
	for i, unit := 0, .1; i < len(decimals); i, unit = i+1, unit/10 {
		if decimals[i] < '0' || decimals[i] > '9' {
			return 0
		}
		quality += unit * float64(decimals[i]-'0')
	}
	if quality > 1 {
		return 0
	}
	return quality
}

func allowedVersion(version string, allowed []string) bool {
	if version == "" || len(allowed) == 0 {
		return true
	}
	return slices.Contains(allowed, version)
}
