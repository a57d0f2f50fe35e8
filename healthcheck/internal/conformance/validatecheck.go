package conformance

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/jsonvalue"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// validateChecks validates the member "checks" of an answer, and returns the statuses of the checks. now is
// the answer's timestamp.
func (f *findings) validateChecks(body jsonvalue.Object, now time.Time) []string {
	raw := body.Find("checks")
	list, err := jsonvalue.ParseObject(raw)
	if err != nil {
		f.add("checks is %s: it must be an object", quoted(raw))
		return nil
	}
	var statuses []string
	for _, m := range list {
		if !health.IsCheckName(m.Name) {
			f.add("a check is named %q: a name must match [A-Za-z0-9][A-Za-z0-9._-]{0,63}", text.CleanWord(m.Name))
		}
		check, err := jsonvalue.ParseObject(m.Value)
		if err != nil {
			f.add("%s is %s: a check must be an object", text.CleanWord(m.Name), quoted(m.Value))
			continue
		}
		statuses = append(statuses, f.validateCheck(text.CleanWord(m.Name)+".", check, now))
	}
	return statuses
}

// validateCheck validates the object of one check, and returns its status. A finding names a member with
// prefix before it. now is zero if the time is unknown.
func (f *findings) validateCheck(prefix string, check jsonvalue.Object, now time.Time) string {
	status := f.validateOneOf(prefix+"status", check.Find("status"), health.StatusesOf("checks")...)
	f.validateReason(prefix, check.Find("reason"), status)
	f.validateTimes(prefix, check, status, now)
	for _, m := range check {
		switch m.Name {
		case "status", "reason", "since", "last_ok":
		case "response_time_ms":
			f.validateMilliseconds(prefix, m.Value)
		case "error":
			f.validateErrorText(prefix, m.Value, status)
		default:
			f.validateMember(prefix, m)
		}
	}
	return status
}

func (f *findings) validateReason(prefix string, raw json.RawMessage, status string) {
	reason, isString := jsonvalue.AsString(raw)
	switch {
	case status == "ok" && raw != nil:
		f.add("%sreason is %s: a check that is ok must have none", prefix, quoted(raw))
	case status != "ok" && (!isString || !isReason(reason)):
		const rule = "%sreason is %s: a check that is not ok must have one that matches [a-z][a-z0-9_]{0,31}"
		f.add(rule, prefix, quoted(raw))
	}
}

// validateTimes validates "since" and "last_ok". Both may be missing, because earlier versions of the
// service's package don't send them.
func (f *findings) validateTimes(prefix string, check jsonvalue.Object, status string, now time.Time) {
	rawSince, rawOK := check.Find("since"), check.Find("last_ok")
	var since time.Time
	if rawSince != nil {
		since = f.validateTime(prefix+"since", rawSince)
	}
	if !now.IsZero() && since.After(now) {
		f.add("%ssince is %s: it must not be after the timestamp", prefix, quoted(rawSince))
	}
	if rawOK == nil {
		return
	}
	lastOK := f.validateTime(prefix+"last_ok", rawOK)
	switch {
	case status != "error":
		f.add("%slast_ok is %s: a check that is no error must have none", prefix, quoted(rawOK))
	case rawSince == nil || !since.IsZero() && lastOK.After(since):
		f.add("%slast_ok is %s: it must not be after since, which is %s", prefix, quoted(rawOK), quoted(rawSince))
	}
}

// errorLength is the maximum length of an error's text in bytes: 1 KiB and an ellipsis.
const errorLength = 1024 + len("…")

// validateErrorText validates the member "error", which only answers on a private port have.
func (f *findings) validateErrorText(prefix string, raw json.RawMessage, status string) {
	message, isString := jsonvalue.AsString(raw)
	switch {
	case status == "ok":
		f.add("%serror is %s: a check that is ok must have none", prefix, quoted(raw))
	case !isString || len(message) > errorLength:
		f.add("%serror is %s: it must be a string of at most 1 KiB", prefix, quoted(raw))
	}
}

func isReason(s string) bool {
	isWord := strings.Trim(s, text.Lower+text.Digits+"_") == ""
	return isWord && s != "" && len(s) <= 32 && strings.IndexByte(text.Lower, s[0]) >= 0
}

func (f *findings) validateMilliseconds(prefix string, raw json.RawMessage) {
	ms, ok := jsonvalue.AsNumber(raw)
	_, decimals, _ := strings.Cut(string(raw), ".")
	if !ok || ms < 0 || len(decimals) > 2 {
		f.add("%sresponse_time_ms is %s: it must be a number with at most two decimals", prefix, quoted(raw))
	}
}

// validateMember validates a member that has no other rule. Its value must be simple, so that it can't be an
// address, a DSN or the text of an error.
func (f *findings) validateMember(prefix string, m jsonvalue.Member) {
	s, isString := jsonvalue.AsString(m.Value)
	_, isNumber := jsonvalue.AsNumber(m.Value)
	isBool := string(m.Value) == "true" || string(m.Value) == "false"
	isWord := isString && s != "" && len(s) <= 64 && strings.Trim(s, text.Letters+text.Digits+"._-") == ""
	if !isNumber && !isBool && !isWord {
		const rule = "%s%s is %s: it must be a number, a boolean, or a string that matches [A-Za-z0-9._-]{1,64}"
		f.add(rule, prefix, text.CleanWord(m.Name), quoted(m.Value))
	}
}
