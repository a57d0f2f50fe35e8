package faults_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/echo-probes/echohealth"
)

const password = "Fault-Pa55word"

// driverText matches parts of the drivers' error texts. No answer may contain them.
var driverText = []string{
	"127.0.0.1", "dial tcp", "lookup", "connect: ", "i/o timeout", "deadline exceeded", "EOF", "SQLSTATE", "FATAL", "pgconn", "WRONGPASS", "NOAUTH", "NOPERM", "OOM",
	"READONLY", "LOADING", "Exception", "NOT_ALLOWED", "tls:", "x509", "panic", "goroutine", ".go:", "/tmp",
}

// reveal verifies that no answer contains a secret, and that the log contains the cause.
func (r *rig) reveal() {
	t := r.scene.t
	for _, path := range []string{"/", "/live/", "/ready/", "/startup/", "/detailed/", "/checks/dependency/", "/checks/", "/nowhere/"} {
		a := r.get(path)
		text := fmt.Sprint(a.header) + string(a.body)
		for _, secret := range slices.Concat(r.secrets(), driverText) {
			assert.NotContains(t, text, secret, "%s: %s", r.label, path)
		}
		assert.Empty(t, strangers(a.body), "%s: %s: %s", r.label, path, a.body)
	}
	private := r.health.Private(echohealth.ShowErrors())
	for _, path := range []string{"/", "/ready/", "/detailed/", "/checks/dependency/"} {
		recorder := httptest.NewRecorder()
		private.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/api/health"+path, nil))
		assert.NotContains(t, recorder.Body.String(), password, "%s: %s on a private port", r.label, path)
	}
	log := r.log.String()
	assert.NotContains(t, log, password, "%s: the log", r.label)
	for _, word := range strings.Split(r.figures.word, " / ") {
		if reason := strings.TrimPrefix(word, "warning "); reason != "ok" {
			r.requireCause(reason, log)
		}
	}
}

// requireCause verifies that the log and the functions of OnChange received the whole error of a reason. The
// log has an own record of the first change to each reason.
func (r *rig) requireCause(reason, log string) {
	t, told := r.scene.t, r.log.changes()
	at := slices.IndexFunc(told, func(c echohealth.Change) bool { return string(c.Reason) == reason })
	if !assert.GreaterOrEqual(t, at, 0, "%s: %s was not told: %v", r.label, reason, told) {
		return
	}
	if assert.Error(t, told[at].Err, "%s: %s", r.label, reason) {
		assert.NotContains(t, told[at].Err.Error(), password, "%s: %s", r.label, reason)
	}
	assert.Regexp(t, `msg="health check changed".* reason=`+reason+` error=\S`, log, "%s: the log", r.label)
}

// secrets are the words of the rig's configuration that no answer may contain.
func (r *rig) secrets() []string {
	_, port, _ := net.SplitHostPort(r.proxy.Addr()) // the port of the proxy
	return append(r.scene.site.secrets(), password, r.host, domain, port)
}

var plainWord = regexp.MustCompile(`^[a-z_]+$`)

// strangers returns the strings of a document that are neither a single word nor a time.
func strangers(document []byte) []string {
	var value any
	if err := json.Unmarshal(document, &value); err != nil {
		return []string{string(document)}
	}
	var found []string
	walk(value, func(text string) {
		if _, err := time.Parse(time.RFC3339, text); err != nil && !plainWord.MatchString(text) {
			found = append(found, text)
		}
	})
	return found
}

func walk(value any, f func(string)) {
	switch value := value.(type) {
	case string:
		f(value)
	case []any:
		for _, v := range value {
			walk(v, f)
		}
	case map[string]any:
		for key, v := range value {
			f(key)
			walk(v, f)
		}
	}
}
