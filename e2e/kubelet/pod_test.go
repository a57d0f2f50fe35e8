package kubelet_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/yaml"

	"github.com/echo-probes/echohealth/internal/testserver"
)

// containerName is the name in the deployment.
const containerName = "example"

// pod is a static pod.
type pod struct {
	name string
	url  string
	file string
}

// startPod starts the pod of deploy/kubernetes/deployment.yaml. It removes what a static pod must not have,
// lowers the limits, and applies change. The pod ends with the test.
func startPod(t *testing.T, name string, change func(*corev1.PodSpec, *corev1.Container)) *pod {
	t.Helper()
	var deployment appsv1.Deployment
	text, err := os.ReadFile(filepath.Join(source(t), "deploy/kubernetes/deployment.yaml"))
	require.NoError(t, err)
	require.NoError(t, yaml.UnmarshalStrict(text, &deployment))
	port := testserver.FreePort(t)
	spec := deployment.Spec.Template.Spec
	spec.HostNetwork = true
	c := &spec.Containers[0]
	require.Equal(t, containerName, c.Name)
	c.Image, c.ImagePullPolicy = exampleImage, corev1.PullNever
	c.EnvFrom, c.Ports = nil, nil
	c.Env = []corev1.EnvVar{{Name: "ADDR", Value: fmt.Sprintf("%s:%d", nodeAddress, port)}}
	c.Resources.Limits = limits()
	for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
		probe.HTTPGet.Host, probe.HTTPGet.Port = nodeAddress, intstr.FromInt(port)
	}
	if change != nil {
		change(&spec, c)
	}
	manifest, err := json.Marshal(corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default"},
		Spec:       spec,
	})
	require.NoError(t, err)
	p := &pod{
		name: name + "-node", url: fmt.Sprintf("http://%s:%d", nodeAddress, port),
		file: filepath.Join(work, "pods", name+".json"),
	}
	require.NoError(t, os.WriteFile(p.file, manifest, 0o644))
	t.Cleanup(p.delete)
	return p
}

func limits() corev1.ResourceList {
	return corev1.ResourceList{
		corev1.ResourceCPU:    resource.MustParse("500m"),
		corev1.ResourceMemory: resource.MustParse("128Mi"),
	}
}

// runService replaces the example with the test's own service.
func runService(c *corev1.Container, args ...string) {
	c.Image = serviceImage
	c.Args = append([]string{"-addr", c.Env[0].Value}, args...)
}

// delete deletes the pod as the API server would: the kubelet gets the deletion.
func (p *pod) delete() { _ = os.Remove(p.file) }

// status returns the kubelet's status of the pod, or nil as long as there is none.
func (p *pod) status() *corev1.Pod {
	pods, err := askPods()
	if err != nil {
		return nil
	}
	for i := range pods.Items {
		if pods.Items[i].Name == p.name {
			return &pods.Items[i]
		}
	}
	return nil
}

func (p *pod) ready() bool {
	if status := p.status(); status != nil {
		for _, condition := range status.Status.Conditions {
			if condition.Type == corev1.PodReady {
				return condition.Status == corev1.ConditionTrue
			}
		}
	}
	return false
}

// container returns the kubelet's status of the container that startPod's change has changed.
func (p *pod) container() corev1.ContainerStatus {
	if status := p.status(); status != nil {
		for _, c := range status.Status.ContainerStatuses {
			if c.Name == containerName {
				return c
			}
		}
	}
	return corev1.ContainerStatus{}
}

// id returns the container's ID in containerd.
func (p *pod) id() string { return strings.TrimPrefix(p.container().ContainerID, "containerd://") }

func (p *pod) waitReady(t *testing.T) time.Duration {
	t.Helper()
	return eventually(t, time.Minute, p.name+" is ready", p.ready)
}

// waitNotReady waits until the pod is not ready.
func (p *pod) waitNotReady(t *testing.T) time.Duration {
	t.Helper()
	return eventually(t, time.Minute, p.name+" is not ready", func() bool { return p.status() != nil && !p.ready() })
}

// get requests an endpoint below the prefix.
func (p *pod) get(endpoint string) (response *http.Response, members map[string]json.RawMessage, err error) {
	response, err = http.Get(p.url + "/api/health/" + endpoint)
	if err != nil {
		return nil, nil, err
	}
	defer response.Body.Close()
	return response, members, json.NewDecoder(response.Body).Decode(&members)
}

// log returns the lines that the pod's first container has printed, in containerd's format.
func (p *pod) log() []string {
	files, _ := filepath.Glob(filepath.Join(work, "logs", "default_"+p.name+"_*", "*", "0.log"))
	text := ""
	for _, file := range files {
		more, _ := os.ReadFile(file)
		text += string(more)
	}
	return strings.Split(text, "\n")
}

// event is an event that the kubelet has logged, with the first line of its message.
type event struct {
	at      time.Time
	message string
}

// The kubelet logs a message of several lines between < and >.
var eventLine = regexp.MustCompile(`(?ms)^I(\d{4} [\d:.]+) [^\n]*"Event occurred" object="default/([^"\n]*)"[^\n]* ` +
	`reason="([^"\n]*)" message=(?:("[^\n]*")|<\n\t([^\n]*).*? >)$`)

// events returns the pod's events with a reason, such as Unhealthy or Killing, the oldest first.
func (p *pod) events(reason string) (found []event) {
	for _, match := range eventLine.FindAllStringSubmatch(printed(program), -1) {
		if match[2] != p.name || match[3] != reason {
			continue
		}
		at, _ := time.ParseInLocation("2006 0102 15:04:05.000000", time.Now().Format("2006 ")+match[1], time.Local)
		message := match[5]
		if match[4] != "" {
			message, _ = strconv.Unquote(match[4])
		}
		found = append(found, event{at, message})
	}
	return found
}

// waitEvent waits for the pod's first event with a reason.
func (p *pod) waitEvent(t *testing.T, reason string) event {
	t.Helper()
	eventually(t, 2*time.Minute, "an event "+reason, func() bool { return len(p.events(reason)) > 0 })
	return p.events(reason)[0]
}

// exit is the end of a container.
type exit struct {
	Container string    `json:"container_id"`
	ID        string    `json:"id"`
	Status    int       `json:"exit_status"`
	At        time.Time `json:"exited_at"`
}

// waitExit waits for the end of a container's first process.
func waitExit(t *testing.T, id string) (ended exit) {
	t.Helper()
	eventually(t, 2*time.Minute, "the container has ended", func() bool {
		for _, line := range strings.Split(printed("ctr"), "\n") {
			_, text, found := strings.Cut(line, " /tasks/exit ")
			var e exit
			if found && json.Unmarshal([]byte(text), &e) == nil && e.Container == id && e.ID == id {
				ended = e
				return true
			}
		}
		return false
	})
	return ended
}

// source is the root of the repository. The tests run in one of its folders.
func source(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../..")
	require.NoError(t, err)
	return path
}
