package observability

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/exposition"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
	"github.com/echo-probes/echohealth/probes/certprobe"
	"github.com/echo-probes/echohealth/promhealth"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// tool runs a program of the Prometheus project.
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
	assert.Empty(t, tool(t, "", string(everyFamily(t, "text.txt")), "promtool", "check", "metrics"))
}

var ours = regexp.MustCompile(`\bechohealth_[a-z_]+`)

// known requires that every metric of echohealth in text exists.
func known(t *testing.T, text string) {
	t.Helper()
	// The first metrics are those of the recording rules.
	all := map[string]bool{"echohealth_targets": true, "echohealth_target": true, "echohealth_unavailable": true}
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

// ruleFile is the part of rules.yml that these tests need.
type ruleFile struct {
	Groups []struct {
		Rules []struct{ Record, Alert string }
	}
}

// ruleTests is the part of rules_test.yml that these tests need.
type ruleTests struct {
	Tests []ruleTest
}

type ruleTest struct {
	Name    string
	Queries []struct {
		Expr string
		At   string `json:"eval_time"`
		Want []struct {
			Labels string
			Value  float64
		} `json:"exp_samples"`
	} `json:"promql_expr_test"`
	Alerts []struct {
		Name string `json:"alertname"`
		Want []struct {
			Annotations map[string]string `json:"exp_annotations"`
		} `json:"exp_alerts"`
	} `json:"alert_rule_test"`
}

// runs reports whether the queries of the test show that the alert is silent, fires, and is silent again.
func (r *ruleTest) runs(t *testing.T, alert string) bool {
	t.Helper()
	silent, fires := time.Duration(-1), time.Duration(-1)
	for _, query := range r.Queries {
		if query.Expr != `count(ALERTS{alertname="`+alert+`", alertstate="firing"}) or vector(0)` {
			continue
		}
		at, err := time.ParseDuration(query.At)
		require.NoError(t, err)
		switch firing := query.Want[0].Value > 0; {
		case !firing && fires >= 0 && at > fires:
			return true
		case !firing && fires < 0:
			silent = at
		case firing && silent >= 0 && at > silent:
			fires = at
		}
	}
	return false
}

// explains reports whether the test compares all annotations of the alert.
func (r *ruleTest) explains(alert string) bool {
	for _, test := range r.Alerts {
		for _, want := range test.Want {
			a := want.Annotations
			if test.Name == alert && a["summary"] != "" && a["description"] != "" &&
				strings.HasSuffix(a["runbook_url"], "docs/observability.md#"+strings.ToLower(alert)) {
				return true
			}
		}
	}
	return false
}

// Every alert must have a unit test in which it is silent, fires and is silent again, a unit test of its
// annotations, and a section in the documents. It must use only metrics that exist.
func TestRules(t *testing.T) {
	text := read(t, "prometheus/rules.yml")
	var rules ruleFile
	require.NoError(t, yaml.Unmarshal([]byte(text), &rules))
	var tests ruleTests
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "prometheus/rules_test.yml")), &tests))
	page := read(t, "../docs/observability.md")
	known(t, text)
	known(t, read(t, "prometheus/rules_test.yml"))
	assert.NotRegexp(t, `\ble=`, text, "Prometheus 2 and 3 write it differently")
	alerts, records := 0, 0
	for _, group := range rules.Groups {
		for _, rule := range group.Rules {
			if rule.Record != "" {
				records++
				assert.True(t, slices.ContainsFunc(tests.Tests, func(r ruleTest) bool { return r.records(rule.Record) }),
					"a test must compare the series of %s, of two jobs", rule.Record)
				continue
			}
			alerts++
			name := rule.Alert
			assert.True(t, slices.ContainsFunc(tests.Tests, func(r ruleTest) bool { return r.runs(t, name) }),
				"%s must be silent, fire and be silent again in one test", name)
			assert.True(t, slices.ContainsFunc(tests.Tests, func(r ruleTest) bool { return r.explains(name) }),
				"a test must compare the annotations of %s", name)
			assert.Contains(t, text, "docs/observability.md#"+strings.ToLower(name))
			assert.Contains(t, page, "\n### "+name+"\n")
		}
	}
	assert.Greater(t, alerts, 15)
	assert.Equal(t, 3, records)
	inhibits := regexp.MustCompile(`Echohealth[A-Za-z]+`).FindAllString(read(t, "alertmanager/alertmanager.yml"), -1)
	for _, name := range inhibits {
		assert.Contains(t, text, "- alert: "+name, "a name in Alertmanager's configuration")
	}
}

// records reports whether the test compares the series of a recording rule, of more than one job.
func (r *ruleTest) records(name string) bool {
	for _, query := range r.Queries {
		if query.Expr == name && len(query.Want) > 1 && strings.HasPrefix(query.Want[0].Labels, name+"{") {
			return true
		}
	}
	return false
}

// TestDashboard asks a Prometheus every query of the dashboard. It scrapes a service that has a component of
// each kind, by its endpoint and by the registry of the client library.
func TestDashboard(t *testing.T) {
	server := testserver.NewRedis(t)
	h := health(t, server,
		echohealth.WithCelery(celeryprobe.Redis(client(t, server), celeryprobe.PingWorkers(1), celeryprobe.Strict())),
		echohealth.WithCheck("certificate", certprobe.Config(certificate(t))))
	registry := prometheus.NewRegistry()
	registry.MustRegister(promhealth.NewCollector(h))
	endpoint, library := serve(t, h), serve(t, promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	prometheus, _ := alerting(t, newHook(t), endpoint, library)
	becomes(t, prometheus, `sum(echohealth_component_status{component="redis",status="ok"})`, "2")
	for _, target := range []*testserver.Proxy{endpoint, library} {
		// What docs/observability.md computes: 24 for a check, 10 for each of 5 system metrics, and 15 beside them.
		// One each for the group, the reason of celery, its workers, its queue and the certificate, and none for
		// the last success of celery.
		becomes(t, prometheus, fmt.Sprintf(`count({__name__=~"echohealth_.+",instance=%q})`, target.Addr()),
			strconv.Itoa(3*24+5*10+15+5-1))
	}
	var dashboard struct {
		SchemaVersion int
		Panels        []struct {
			Title, Type string
			Targets     []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, "grafana/echohealth.json")), &dashboard))
	assert.Equal(t, 39, dashboard.SchemaVersion)
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			expr := strings.NewReplacer("$job", ".*", "$instance", ".*", "$__rate_interval", "1m").Replace(target.Expr)
			require.Eventually(t, func() bool { return len(query(t, prometheus, expr)) > 0 },
				time.Minute, 100*time.Millisecond, "%s: %s has no data", panel.Title, expr)
		}
	}
}

// certificate returns the configuration of a server with a certificate.
func certificate(t *testing.T) *tls.Config {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	t.Cleanup(server.Close)
	return server.TLS
}
