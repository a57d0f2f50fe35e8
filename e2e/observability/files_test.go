package observability

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/exposition"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// tool runs a program of Prometheus's.
func tool(t *testing.T, dir, stdin, program string, arguments ...string) string {
	t.Helper()
	path := testserver.Program(t, program, "prometheus")
	command := exec.Command(path, arguments...)
	command.Dir, command.Stdin = deploy+dir, strings.NewReader(stdin)
	output, err := command.CombinedOutput()
	require.NoError(t, err, "%s %s\n%s", program, arguments, output)
	return string(output)
}

func TestPromtool(t *testing.T) {
	t.Parallel()
	tool(t, "prometheus", "", "promtool", "check", "rules", "--lint=all", "--lint-fatal", "rules.yml")
	tool(t, "prometheus", "", "promtool", "check", "config", "prometheus.yml")
	tool(t, "prometheus", "", "promtool", "test", "rules", "rules_test.yml")
	tool(t, "alertmanager", "", "amtool", "check-config", "alertmanager.yml")
}

func TestPromtoolAcceptsTheMetrics(t *testing.T) {
	h, err := echohealth.New(echohealth.WithPrometheus(), echohealth.WithVersion("1.2.3"))
	require.NoError(t, err)
	defer h.Close()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/api/health/prometheus/", nil))
	assert.Empty(t, tool(t, "", w.Body.String(), "promtool", "check", "metrics"))
}

var ours = regexp.MustCompile(`\bechohealth_[a-z_]+`)

// known requires that each of our metrics in text is one that there is.
func known(t *testing.T, text string) {
	t.Helper()
	all := map[string]bool{"echohealth_targets": true, "echohealth_target": true, "echohealth_unavailable": true} // of the recording rules
	for _, family := range exposition.Families {
		all[family.Name] = true
	}
	for _, name := range ours.FindAllString(text, -1) {
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			name = strings.TrimSuffix(name, suffix)
		}
		assert.True(t, all[name], name)
	}
}

// Every alert has a unit test in which it fires, one in which it does not, a paragraph in the documents, and names
// only metrics that there are.
func TestRules(t *testing.T) {
	rules, tests := read(t, "prometheus/rules.yml"), read(t, "prometheus/rules_test.yml")
	page := read(t, "../docs/observability.md")
	known(t, rules)
	known(t, tests)
	assert.NotRegexp(t, `\ble=`, rules, "Prometheus 2 and 3 write it differently")
	alerts := regexp.MustCompile(`- alert: (\S+)`).FindAllStringSubmatch(rules, -1)
	assert.Greater(t, len(alerts), 15)
	for _, alert := range alerts {
		name := alert[1]
		count := func(n string) *regexp.Regexp {
			return regexp.MustCompile(`alertname="` + name + `"[^\n]*value: ` + n + `\}`)
		}
		assert.Regexp(t, count("[1-9]"), tests, "%s must fire in a test", name)
		assert.Regexp(t, count("0"), tests, "%s must be silent in a test", name)
		assert.Contains(t, rules, "docs/observability.md#"+strings.ToLower(name))
		assert.Contains(t, page, "\n### "+name+"\n")
	}
	inhibits := regexp.MustCompile(`Echohealth[A-Za-z]+`).FindAllString(read(t, "alertmanager/alertmanager.yml"), -1)
	for _, name := range inhibits {
		assert.Contains(t, rules, "- alert: "+name, "Alertmanager's configuration names it")
	}
}

// TestDashboard asks a Prometheus every query of the dashboard.
func TestDashboard(t *testing.T) {
	redis := testserver.NewRedis(t)
	prometheus, _ := alerting(t, newHook(t), service(t, redis))
	becomes(t, prometheus, `echohealth_component_status{component="redis",status="ok"}`, "1")
	// What docs/observability.md computes: 24 for a check, 10 for each of 5 system metrics, and 15
	// beside them; and one for the group.
	becomes(t, prometheus, `count({__name__=~"echohealth_.+"})`, "90")
	var dashboard struct {
		SchemaVersion int
		Panels        []struct {
			Title, Type string
			Targets     []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, "grafana/echohealth.json")), &dashboard))
	assert.Equal(t, 39, dashboard.SchemaVersion)
	empty := map[string]bool{"What is wrong": true, "Tasks that wait": true, "Workers": true, "Until a certificate expires": true} // all is well, and no Celery and no certificate
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			expr := strings.NewReplacer("$job", ".*", "$instance", ".*", "$__rate_interval", "1m").Replace(target.Expr)
			query(t, prometheus, expr)
			require.Eventually(t, func() bool { return empty[panel.Title] || len(query(t, prometheus, expr)) > 0 },
				time.Minute, 100*time.Millisecond, "%s: %s has no data", panel.Title, expr)
		}
	}
}
