package kubelet_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/echo-probes/echohealth/internal/testserver"
)

func TestMain(m *testing.M) { testserver.Main(m) }

// seen is the table that is printed at the end.
var seen []string

func record(expectation, format string, args ...any) {
	seen = append(seen, fmt.Sprintf("| %s | %s |", expectation, fmt.Sprintf(format, args...)))
}

// seconds rounds a duration for the table.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func TestKubelet(t *testing.T) {
	if work == "" {
		t.Skip("it needs root and a kubelet: make kubelet")
	}
	startNode(t)
	t.Run("start", testStart)
	t.Run("redis", testRedis)
	t.Run("exec", testExec)
	t.Run("gate", testGate)
	t.Run("closed gate", testClosedGate)
	t.Run("migration", testMigration)
	t.Run("delete", testDelete)
	t.Run("short grace", testShortGrace)
	t.Run("prestop", testPreStop)
	t.Run("out of memory", testOutOfMemory)
	t.Run("pod limits", testPodLimits)
	t.Logf("\n| expectation | seen |\n|---|---|\n%s", strings.Join(seen, "\n"))
}

// The example must start, respond, and report the limits of its container.
func testStart(t *testing.T) {
	p := startPod(t, "start", nil)
	record("starts and is ready", "%s after the manifest", seconds(p.waitReady(t)))
	response, _, err := p.get("live/")
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, response.StatusCode)
	figures := p.checks(t)
	assert.Equal(t, 128, figures.Memory.Total)
	assert.Equal(t, "cgroup", figures.Memory.Source)
	assert.Equal(t, 0.5, figures.CPU.Limit)
	record("memory and cpu", "total_mb %d, source %s, limit_cpus %g",
		figures.Memory.Total, figures.Memory.Source, figures.CPU.Limit)
	assert.Zero(t, p.container().RestartCount)
	assert.Empty(t, p.events("Unhealthy"), "no probe failed")
}

// An outage of a dependency must make the pod not ready and must not restart it, although it lasts longer
// than the 30 s that the liveness probe allows. The pod must become ready again.
func testRedis(t *testing.T) {
	server := testserver.NewRedis(t)
	p := startPod(t, "redis", withRedis(server))
	p.waitReady(t)
	id := p.id()

	server.Stop(t)
	out := p.waitNotReady(t)
	assert.Equal(t, "Readiness probe failed: HTTP probe failed with statuscode: 503", p.waitEvent(t, "Unhealthy").message)
	time.Sleep(40 * time.Second)
	server.Start(t)
	record("Redis stopped for 40 s more", "Ready=false after %s; Ready %s after its return", seconds(out), seconds(p.waitReady(t)))

	server.Freeze(t)
	out = p.waitNotReady(t)
	server.Thaw(t)
	record("Redis frozen", "Ready=false after %s; Ready %s after its return", seconds(out), seconds(p.waitReady(t)))
	assert.Zero(t, p.container().RestartCount)
	assert.Equal(t, id, p.id(), "the same container")
	assert.Empty(t, p.events("Killing"))
	record("restarts by these outages", "%d", p.container().RestartCount)
}

func withRedis(server *testserver.Redis) func(*corev1.PodSpec, *corev1.Container) {
	return func(_ *corev1.PodSpec, c *corev1.Container) {
		c.Env = append(c.Env, corev1.EnvVar{Name: "REDIS_URL", Value: server.URL()})
	}
}

// With the subcommand as the probe, the event must contain the reason.
func testExec(t *testing.T) {
	server := testserver.NewRedis(t)
	p := startPod(t, "exec", func(spec *corev1.PodSpec, c *corev1.Container) {
		withRedis(server)(spec, c)
		c.ReadinessProbe.HTTPGet = nil
		c.ReadinessProbe.Exec = &corev1.ExecAction{
			Command: []string{"/example", "healthcheck", "http://" + c.Env[0].Value},
		}
	})
	p.waitReady(t)
	server.Stop(t)
	p.waitNotReady(t)
	message := p.waitEvent(t, "Unhealthy").message
	assert.Contains(t, message, "redis error connection_refused")
	record("exec probe, Redis stopped", "the event: `%s`", message)
}

// Until the gate opens, the kubelet must run only the startup probe.
func testGate(t *testing.T) {
	p := startPod(t, "gate", func(_ *corev1.PodSpec, c *corev1.Container) { runService(c, "-gate", "12s") })
	p.waitReady(t)
	log := p.log()
	opens := slices.IndexFunc(log, func(line string) bool { return strings.HasSuffix(line, "gate opens") })
	require.Positive(t, opens)
	before, after := strings.Join(log[:opens], "\n"), strings.Join(log[opens:], "\n")
	refused := strings.Count(before, "asked /api/health/startup/ 503")
	assert.Positive(t, refused)
	assert.NotContains(t, before, "/ready/")
	assert.NotContains(t, before, "/live/")
	assert.NotContains(t, after, " 503 ")
	assert.Zero(t, p.container().RestartCount)
	agent := regexp.MustCompile(`startup/ 503 (kube-probe/\S+ \S+) `).FindStringSubmatch(before)
	require.NotNil(t, agent)
	assert.Contains(t, agent[1], " close", "a probe keeps no connection")
	record("gate of 12 s", "%d × 503 for startup, nothing else asked; then ready; the probe says `%s`", refused, agent[1])
}

// After a failed startup probe the kubelet sends SIGTERM, so the restart must wait for the drain.
func testClosedGate(t *testing.T) {
	p := startPod(t, "closed", func(_ *corev1.PodSpec, c *corev1.Container) {
		runService(c, "-gate", "-1s")
		c.StartupProbe.FailureThreshold = 5
	})
	eventually(t, time.Minute, "it runs", func() bool { return p.id() != "" })
	id := p.id()
	killing := p.waitEvent(t, "Killing")
	ended := waitExit(t, id)
	assert.Zero(t, ended.Status, "the service drains, and exits with 0")
	took := ended.At.Sub(killing.at)
	assert.GreaterOrEqual(t, took, 5*time.Second, "the drain delay")
	eventually(t, time.Minute, "it is started again", func() bool { return p.container().RestartCount == 1 })
	record("gate never opens (startup: 2 s × 5)", "`%s`; exit %d after %s of drain, then the restart",
		killing.message, ended.Status, seconds(took))
}

// A service that migrates data before it listens must be killed by its liveness probe, repeatedly.
func testMigration(t *testing.T) {
	p := startPod(t, "migration", func(_ *corev1.PodSpec, c *corev1.Container) {
		runService(c, "-migration", "1h")
		c.StartupProbe = nil
		c.LivenessProbe.PeriodSeconds = 2
	})
	took := eventually(t, 3*time.Minute, "two restarts", func() bool { return p.container().RestartCount == 2 })
	assert.Contains(t, p.waitEvent(t, "Killing").message, "failed liveness probe")
	record("migrates before it listens, liveness 2 s × 3, no startup probe", "2 restarts within %s", seconds(took))
}

// A process that exceeds the memory limit must be killed. The counter of the new container must begin at 0,
// and the kubelet must know the reason.
func testOutOfMemory(t *testing.T) {
	p := startPod(t, "oom", func(_ *corev1.PodSpec, c *corev1.Container) { runService(c, "-memory", "200") })
	eventually(t, time.Minute, "it was killed", func() bool { return p.container().LastTerminationState.Terminated != nil })
	last := p.container().LastTerminationState.Terminated
	assert.Equal(t, "OOMKilled", last.Reason)
	p.waitReady(t)
	kills := p.checks(t).Memory.Kills
	assert.Zero(t, kills)
	record("its process takes more than the limit", "`lastState.terminated` says %s, exit %d; the new container oom_kills %d",
		last.Reason, last.ExitCode, kills)
}

// A limit of the pod applies to each container, but a container sees only its own usage.
func testPodLimits(t *testing.T) {
	p := startPod(t, "podlimits", func(spec *corev1.PodSpec, c *corev1.Container) {
		c.Resources = corev1.ResourceRequirements{}
		spec.Resources = &corev1.ResourceRequirements{Limits: limits(), Requests: limits()}
		big := corev1.Container{
			Name: "big", Image: serviceImage, ImagePullPolicy: corev1.PullNever, SecurityContext: c.SecurityContext,
			Args: []string{"-addr", fmt.Sprintf("%s:%d", nodeAddress, testserver.FreePort(t)), "-memory", "100"},
		}
		spec.Containers = append(spec.Containers, big)
	})
	p.waitReady(t)
	eventually(t, time.Minute, "the other container has its memory", func() bool {
		return strings.Contains(strings.Join(p.log(), "\n"), "memory taken")
	})
	time.Sleep(2 * time.Second) // longer than until the next sample
	memory := p.checks(t).Memory
	assert.Equal(t, 128, memory.Total)
	assert.Less(t, memory.Percent, 50.0)
	record("a limit of the pod alone, another container takes 100 MiB of 128", "total_mb %d, percent %g",
		memory.Total, memory.Percent)
}

// checks returns the figures of the container.
type checks struct {
	Memory struct {
		Total   int `json:"total_mb"`
		Percent float64
		Source  string
		Kills   int `json:"oom_kills"`
	}
	CPU struct {
		Limit float64 `json:"limit_cpus"`
	}
}

func (p *pod) checks(t *testing.T) (found checks) {
	t.Helper()
	_, members, err := p.get("detailed/")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(members["checks"], &found))
	return found
}
