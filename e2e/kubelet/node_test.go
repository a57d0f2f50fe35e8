package kubelet_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// Set by the script: its folder, the kubelet's program, and the control group that the script made.
var (
	work    = os.Getenv("ECHOHEALTH_KUBELET_WORK")
	program = os.Getenv("ECHOHEALTH_KUBELET")
	group   = os.Getenv("ECHOHEALTH_KUBELET_GROUP")
)

const (
	nodeAddress = "192.0.2.1"
	readOnly    = "http://" + nodeAddress + ":10255"
)

const containerdConfig = `
version = 2
root = "%[1]s/containerd"
state = "/run/containerd"
[grpc]
  address = "/run/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "` + pauseImage + `"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "%[1]s/cni"
    conf_dir = "%[1]s/cni"
`

// The kubelet requires a CNI plugin, but the pods use the node's network. So this plugin never runs.
const cniConfig = `{"cniVersion": "0.4.0", "name": "none", "plugins": [{"type": "none"}]}`

const kubeletConfig = `
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
staticPodPath: %[1]s/pods
fileCheckFrequency: 1s
containerRuntimeEndpoint: unix:///run/containerd.sock
address: ` + nodeAddress + `
readOnlyPort: 10255
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: /%[2]s
podLogsDir: %[1]s/logs
volumePluginDir: %[1]s/plugins
resolvConf: ""
oomScoreAdj: 0
failSwapOn: false
makeIPTablesUtilChains: false
localStorageCapacityIsolation: false
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 0%%, nodefs.available: 0%%, nodefs.inodesFree: 0%%, imagefs.available: 0%%}
`

// startNode starts containerd and the kubelet, and returns when the kubelet lists its pods.
func startNode(t *testing.T) {
	t.Helper()
	for _, folder := range []string{"pods", "logs", "plugins", "cni", "kubelet"} {
		require.NoError(t, os.MkdirAll(filepath.Join(work, folder), 0o755))
	}
	write(t, "cni/10-none.conflist", cniConfig)
	write(t, "containerd.toml", fmt.Sprintf(containerdConfig, work))
	write(t, "kubelet.yaml", fmt.Sprintf(kubeletConfig, work, group))
	launch(t, "containerd", "--config", filepath.Join(work, "containerd.toml"))
	eventually(t, time.Minute, "containerd answers", func() bool { return ctr("version") == nil })
	writeImages(t, filepath.Join(work, "images.tar"))
	require.NoError(t, ctr("images", "import", filepath.Join(work, "images.tar")))

	launch(t, "ctr", "--address", "/run/containerd.sock", "--namespace", "k8s.io", "events")
	launch(t, program, "--config", filepath.Join(work, "kubelet.yaml"), "--root-dir", filepath.Join(work, "kubelet"),
		"--cert-dir", filepath.Join(work, "kubelet/pki"), "--hostname-override", "node", "--node-ip", nodeAddress,
		"--v", "3") // logs the events
	eventually(t, time.Minute, "the kubelet answers", func() bool { _, err := askPods(); return err == nil })
}

// write writes a file in the script's folder.
func write(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(work, name), []byte(text), 0o644))
}

// launch starts a program that ends with the test. Its output is written to NAME.log. If the test fails, the
// end of that file is shown.
func launch(t *testing.T, name string, args ...string) {
	t.Helper()
	file, err := os.Create(logOf(name))
	require.NoError(t, err)
	command := exec.Command(name, args...)
	command.Stdout, command.Stderr = file, file
	require.NoError(t, command.Start())
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
		file.Close()
		if t.Failed() {
			lines := strings.Split(printed(name), "\n")
			t.Logf("the end of %s:\n%s", name, strings.Join(lines[max(0, len(lines)-40):], "\n"))
		}
	})
}

func logOf(name string) string { return filepath.Join(work, filepath.Base(name)+".log") }

// printed returns the output of a program so far.
func printed(name string) string {
	text, _ := os.ReadFile(logOf(name))
	return string(text)
}

func ctr(args ...string) error {
	args = append([]string{"--address", "/run/containerd.sock", "--namespace", "k8s.io"}, args...)
	if output, err := exec.Command("ctr", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ctr %s: %w\n%s", args, err, output)
	}
	return nil
}

// askPods requests the kubelet's pods and their status.
func askPods() (pods corev1.PodList, err error) {
	response, err := http.Get(readOnly + "/pods")
	if err != nil {
		return pods, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return pods, fmt.Errorf("the kubelet answers %s", response.Status)
	}
	return pods, json.NewDecoder(response.Body).Decode(&pods)
}

// eventually waits until the condition holds, and returns how long that took.
func eventually(t *testing.T, limit time.Duration, what string, holds func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for !holds() {
		if time.Since(began) > limit {
			t.Fatalf("not within %v: %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(began)
}
