package probes

import (
	"fmt"
	"log/slog"
	"math"
	"strings"
)

// CheckDetail returns nil if a may be a member of a check's JSON object. Otherwise it returns an error that
// states the rule.
//
// The key must match [A-Za-z][A-Za-z0-9_.-]{0,63} and must not be status, reason, response_time_ms, since,
// last_ok or error. The value must be an integer, a finite float, a boolean, or a string that matches
// [A-Za-z0-9._-]{1,64}. Such a string cannot carry an error's text, an address or a DSN. The error quotes
// only the key, because the value may be a secret.
func CheckDetail(a slog.Attr) error {
	switch {
	case !wellFormed(a.Key, "_.-") || !isLetter(a.Key[0]):
		return fmt.Errorf("detail %q: the key must match [A-Za-z][A-Za-z0-9_.-]{0,63}", a.Key)
	case reserved[a.Key]:
		return fmt.Errorf("detail %q: the key is reserved", a.Key)
	}
	switch a.Value.Kind() {
	case slog.KindInt64, slog.KindUint64, slog.KindBool:
		return nil
	case slog.KindFloat64:
		if f := a.Value.Float64(); math.IsNaN(f) || math.IsInf(f, 0) {
			return fmt.Errorf("detail %q: a float must be finite", a.Key)
		}
		return nil
	case slog.KindString:
		if !wellFormed(a.Value.String(), "._-") {
			return fmt.Errorf("detail %q: a string must match [A-Za-z0-9._-]{1,64}", a.Key)
		}
		return nil
	}
	return fmt.Errorf("detail %q: the value must be an integer, a float, a boolean or a string, not %s",
		a.Key, a.Value.Kind())
}

// reserved are the members that every check has or may have.
var reserved = map[string]bool{
	"status": true, "reason": true, "response_time_ms": true, "since": true, "last_ok": true, "error": true,
}

// wellFormed reports whether s consists of 1 to 64 ASCII letters, digits and characters of also.
func wellFormed(s, also string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !isLetter(c) && (c < '0' || c > '9') && strings.IndexByte(also, c) < 0 {
			return false
		}
	}
	return true
}

func isLetter(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
