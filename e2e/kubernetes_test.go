package e2e_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
)

// load reads a manifest like the API server: an unknown or duplicate member is an error.
func load(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict(text, into), path)
}

func loadDeployment(t *testing.T) (d appsv1.Deployment) {
	t.Helper()
	load(t, "../deploy/kubernetes/deployment.yaml", &d)
	require.Equal(t, appsv1.SchemeGroupVersion.WithKind("Deployment"), d.GroupVersionKind())
	require.Len(t, d.Spec.Template.Spec.Containers, 1)
	return d
}

func container(d appsv1.Deployment) corev1.Container { return d.Spec.Template.Spec.Containers[0] }

// probesOf returns the three probes of a container.
func probesOf(c corev1.Container) map[string]*corev1.Probe {
	return map[string]*corev1.Probe{"startup": c.StartupProbe, "live": c.LivenessProbe, "ready": c.ReadinessProbe}
}

// portNumber returns the number of a container's port, which may be given by its name.
func portNumber(c corev1.Container, port intstr.IntOrString) int {
	for _, p := range c.Ports {
		if p.Name == port.StrVal {
			return int(p.ContainerPort)
		}
	}
	return port.IntValue()
}

// Each probe must request its endpoint, which must exist with the library's defaults, on the port on which
// the example listens.
func TestKubernetesProbesFindTheirEndpoints(t *testing.T) {
	h, err := echohealth.New()
	require.NoError(t, err)
	defer h.Close()
	c := container(loadDeployment(t))
	for endpoint, probe := range probesOf(c) {
		require.NotNil(t, probe, endpoint)
		require.NotNil(t, probe.HTTPGet, endpoint)
		assert.Equal(t, prefix+"/"+endpoint+"/", probe.HTTPGet.Path)
		assert.Equal(t, examplePort(t), portNumber(c, probe.HTTPGet.Port), endpoint)
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, probe.HTTPGet.Path, nil))
		assert.Equal(t, http.StatusOK, recorder.Code, endpoint)
	}
}

// The kubelet must wait longer for the readiness answer than the library needs at most.
func TestKubernetesWaitsForTheAnswer(t *testing.T) {
	var took time.Duration
	synctest.Test(t, func(t *testing.T) {
		hung := probes.Func(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })
		h := newHealth(t, echohealth.WithDatabase(hung))
		began := time.Now()
		recorder := httptest.NewRecorder()
		h.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/api/health/ready/", nil))
		took = time.Since(began)
		assert.Equal(t, http.StatusServiceUnavailable, recorder.Code)
	})
	require.Positive(t, took)
	timeout := max(1, container(loadDeployment(t)).ReadinessProbe.TimeoutSeconds) // the default is 1 s
	assert.Greater(t, time.Duration(timeout)*time.Second, took+100*time.Millisecond, "with room for the network")
}

// The grace period begins with SIGTERM. It must be longer than the drain, the requests in flight and a
// margin.
func TestKubernetesWaitsForTheEnd(t *testing.T) {
	var drain time.Duration
	synctest.Test(t, func(t *testing.T) {
		h := newHealth(t)
		began := time.Now()
		require.NoError(t, h.Drain(t.Context()))
		drain = time.Since(began)
	})
	require.Positive(t, drain)
	const margin = 5 * time.Second
	pod := loadDeployment(t).Spec.Template.Spec
	require.NotNil(t, pod.TerminationGracePeriodSeconds)
	grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second
	assert.Greater(t, grace, drain+margin)
	assert.GreaterOrEqual(t, grace, exampleShutdown(t)+margin)
	assert.Nil(t, pod.Containers[0].Lifecycle, "a preStop would put SIGTERM off")
}

// newHealth returns a Health with the library's defaults, but without system metrics, because synctest's time
// can't be measured.
func newHealth(t *testing.T, opts ...echohealth.Option) *echohealth.Health {
	t.Helper()
	h, err := echohealth.New(append(opts, echohealth.WithoutSystemMetrics())...)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, h.Close()) })
	return h
}

// No probe may react to a single failure. Only the startup probe may allow a slow start.
func TestKubernetesTimes(t *testing.T) {
	for name, probe := range probesOf(container(loadDeployment(t))) {
		assert.Positive(t, probe.PeriodSeconds, name)
		assert.Greater(t, probe.FailureThreshold, int32(1), "%s: one lost packet is no failure", name)
		assert.Zero(t, probe.InitialDelaySeconds, "%s: that is what the startup probe is for", name)
	}
}

func TestKubernetesSecurity(t *testing.T) {
	pod := loadDeployment(t).Spec.Template.Spec
	require.NotNil(t, pod.SecurityContext)
	assert.Equal(t, new(true), pod.SecurityContext.RunAsNonRoot)
	require.NotNil(t, pod.SecurityContext.RunAsUser)
	assert.Positive(t, *pod.SecurityContext.RunAsUser)
	require.NotNil(t, pod.SecurityContext.SeccompProfile)
	assert.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pod.SecurityContext.SeccompProfile.Type)
	assert.Equal(t, new(false), pod.AutomountServiceAccountToken)

	own := pod.Containers[0].SecurityContext
	require.NotNil(t, own)
	assert.Equal(t, new(true), own.ReadOnlyRootFilesystem)
	assert.Equal(t, new(false), own.AllowPrivilegeEscalation)
	require.NotNil(t, own.Capabilities)
	assert.Equal(t, []corev1.Capability{"ALL"}, own.Capabilities.Drop)
	assert.Empty(t, own.Capabilities.Add)
}

func TestKubernetesResources(t *testing.T) {
	resources := container(loadDeployment(t)).Resources
	for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
		request, limit := resources.Requests[name], resources.Limits[name]
		assert.Positive(t, request.Sign(), "%s request", name)
		assert.GreaterOrEqual(t, limit.Cmp(request), 0, "%s limit", name)
	}
}

// The Service must select the pods of the Deployment.
func TestKubernetesService(t *testing.T) {
	var service corev1.Service
	load(t, "../deploy/kubernetes/service.yaml", &service)
	require.Equal(t, corev1.SchemeGroupVersion.WithKind("Service"), service.GroupVersionKind())
	d := loadDeployment(t)
	require.NotEmpty(t, service.Spec.Selector)
	assert.Subset(t, d.Spec.Template.Labels, service.Spec.Selector)
	assert.Equal(t, d.Spec.Selector.MatchLabels, d.Spec.Template.Labels)
	require.Len(t, service.Spec.Ports, 1)
	assert.Equal(t, examplePort(t), portNumber(container(d), service.Spec.Ports[0].TargetPort))
}

var yamlBlock = regexp.MustCompile("(?ms)^```yaml\n(startupProbe:.*?)^```$")

// The README must show the same probes.
func TestKubernetesReadme(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	block := yamlBlock.FindSubmatch(readme)
	require.NotNil(t, block)
	var shown corev1.Container
	require.NoError(t, yaml.UnmarshalStrict(block[1], &shown))
	deployed := container(loadDeployment(t))
	for name, probe := range probesOf(deployed) {
		probe.HTTPGet.Port = intstr.FromInt(portNumber(deployed, probe.HTTPGet.Port))
		assert.Equal(t, probe, probesOf(shown)[name], name)
	}
}
