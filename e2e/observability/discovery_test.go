package observability

import (
	"maps"
	"regexp"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/relabel"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	yamlv2 "go.yaml.in/yaml/v2" // Prometheus reads its configuration by it
	apps "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

// discovered returns the labels that Prometheus's discovery gives to a port of a running pod of
// deploy/kubernetes.
func discovered(t *testing.T) map[string]string {
	t.Helper()
	var deployment apps.Deployment
	require.NoError(t, yaml.UnmarshalStrict([]byte(read(t, "kubernetes/deployment.yaml")), &deployment))
	target := map[string]string{
		"__address__":                 "10.1.2.3:9000",
		"__meta_kubernetes_namespace": "shop",
		"__meta_kubernetes_pod_ip":    "10.1.2.3",
		"__meta_kubernetes_pod_name":  "example-7d9f",
		"__meta_kubernetes_pod_phase": "Running",
	}
	invalid := regexp.MustCompile(`[^a-zA-Z0-9_]`)
	for name, value := range deployment.Spec.Template.Labels {
		target["__meta_kubernetes_pod_label_"+invalid.ReplaceAllString(name, "_")] = value
	}
	for name, value := range deployment.Spec.Template.Annotations {
		target["__meta_kubernetes_pod_annotation_"+invalid.ReplaceAllString(name, "_")] = value
	}
	return target
}

// Prometheus 3's own relabelling makes these targets of the pods. promtool of Debian can't read the file,
// because it is built without the discovery of Kubernetes.
func TestDiscoveryOfPods(t *testing.T) {
	var config struct {
		Jobs []struct {
			Name    string            `yaml:"job_name"`
			Path    string            `yaml:"metrics_path"`
			Relabel []*relabel.Config `yaml:"relabel_configs"`
		} `yaml:"scrape_configs"`
	}
	require.NoError(t, yamlv2.Unmarshal([]byte(read(t, "prometheus/prometheus-kubernetes.yml")), &config))
	require.Len(t, config.Jobs, 1)
	job := config.Jobs[0]
	assert.Equal(t, "/api/health/prometheus/", job.Path)
	require.NotEmpty(t, job.Relabel)
	for _, step := range job.Relabel {
		require.NoError(t, step.Validate(model.LegacyValidation))
	}
	const (
		annotation = "__meta_kubernetes_pod_annotation_prometheus_io_"
		phase      = "__meta_kubernetes_pod_phase"
		ip         = "__meta_kubernetes_pod_ip"
		app        = "__meta_kubernetes_pod_label_app_kubernetes_io_name"
		named      = "shop/echohealth-example"
	)
	for name, test := range map[string]struct {
		changes      map[string]string // "" removes the label
		address, job string            // "" without a target
	}{
		"as deployed":         {nil, "10.1.2.3:8000", named},
		"another port":        {map[string]string{"__address__": "10.1.2.3:8000"}, "10.1.2.3:8000", named},
		"no port":             {map[string]string{"__address__": "10.1.2.3"}, "10.1.2.3:8000", named},
		"IPv6":                {map[string]string{"__address__": "[fd00::3]:9000", ip: "fd00::3"}, "[fd00::3]:8000", named},
		"starting":            {map[string]string{phase: "Pending"}, "10.1.2.3:8000", named},
		"no port annotated":   {map[string]string{annotation + "port": ""}, "10.1.2.3:9000", named},
		"no app label":        {map[string]string{app: ""}, "10.1.2.3:8000", job.Name},
		"not annotated":       {map[string]string{annotation + "scrape": ""}, "", ""},
		"annotated false":     {map[string]string{annotation + "scrape": "false"}, "", ""},
		"has ended":           {map[string]string{phase: "Succeeded"}, "", ""},
		"has failed":          {map[string]string{phase: "Failed"}, "", ""},
		"another app's label": {map[string]string{app: "cart"}, "10.1.2.3:8000", "shop/cart"},
	} {
		t.Run(name, func(t *testing.T) {
			target := discovered(t)
			target["job"] = job.Name
			maps.Copy(target, test.changes)
			builder := labels.NewBuilder(labels.FromMap(target))
			keep := relabel.ProcessBuilder(builder, job.Relabel...)
			require.Equal(t, test.address != "", keep)
			if keep {
				assert.Equal(t, test.address, builder.Get("__address__"))
				assert.Equal(t, test.job, builder.Get("job"))
				assert.Equal(t, "shop", builder.Get("namespace"))
				assert.Equal(t, "example-7d9f", builder.Get("pod"))
			}
		})
	}
}
