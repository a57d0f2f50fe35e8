package observability

import (
	"strings"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAnOutage tests all steps of an alert. Redis is killed, and the on-call webhook receives the alert with
// its runbook. Redis comes back, and the alert is resolved.
func TestAnOutage(t *testing.T) {
	redis := testserver.NewRedis(t)
	hook := newHook(t)
	prometheus, alertmanager := alerting(t, hook, service(t, redis))
	becomes(t, prometheus, `echohealth_component_status{component="redis",status="ok"}`, "1")

	killed := time.Now()
	redis.Kill(t)
	fired := hook.await(t, "EchohealthServiceOutage", "firing")
	t.Logf("killed → webhook: %s", fired.at.Sub(killed).Round(10*time.Millisecond))
	assert.Equal(t, "on-call", fired.receiver)
	assert.Contains(t, fired.Annotations["description"], "redis: connection_refused (instances: 1).")
	assert.True(t, strings.HasSuffix(fired.Annotations["runbook_url"], "docs/observability.md#echohealthserviceoutage"))
	becomes(t, prometheus, `count(ALERTS{alertname="EchohealthComponentError",component="redis",severity="critical"})`, "1")
	inhibited(t, alertmanager, "EchohealthComponentError", "EchohealthServiceOutage")
	inhibited(t, alertmanager, "EchohealthUnhealthy", "EchohealthServiceOutage")

	started := time.Now()
	redis.Start(t)
	resolved := hook.await(t, "EchohealthServiceOutage", "resolved")
	t.Logf("started → resolved: %s", resolved.at.Sub(started).Round(10*time.Millisecond))
}

// In TestAFrozenReplica one of two replicas does not respond. The alert for the whole service must fire, and
// must inhibit the alert for the replica.
func TestAFrozenReplica(t *testing.T) {
	redis := testserver.NewRedis(t)
	hook := newHook(t)
	well, frozen := service(t, redis), service(t, redis)
	prometheus, alertmanager := alerting(t, hook, well, frozen)
	becomes(t, prometheus, `sum(echohealth_ready)`, "2")
	becomes(t, prometheus, `job:echohealth_unavailable:ratio`, "0")

	frozen.Stall()
	outage := hook.await(t, "EchohealthServiceOutage", "firing")
	assert.Contains(t, outage.Annotations["summary"], "50%")
	becomes(t, prometheus, `count(ALERTS{alertname="EchohealthTargetDown",alertstate="firing"})`, "1")
	down := query(t, prometheus, `ALERTS{alertname="EchohealthTargetDown",alertstate="firing"}`)
	require.Len(t, down, 1)
	assert.Equal(t, frozen.Addr(), down[0].Metric["instance"])
	becomes(t, prometheus, `job:echohealth_unavailable:ratio`, "0.5")
	suppressed := inhibited(t, alertmanager, "EchohealthTargetDown", "EchohealthServiceOutage")
	assert.Equal(t, frozen.Addr(), suppressed.Labels["instance"])

	frozen.Pass()
	hook.await(t, "EchohealthServiceOutage", "resolved")
	hook.mu.Lock()
	defer hook.mu.Unlock()
	for _, n := range hook.received {
		assert.NotEqual(t, "EchohealthComponentError", n.Labels["alertname"], "no component has failed")
	}
}
