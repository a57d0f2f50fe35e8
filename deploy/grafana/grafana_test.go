package main

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/echo-probes/echohealth/internal/exposition"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The file is what the list of panels makes.
func TestFile(t *testing.T) {
	var want bytes.Buffer
	encoder := json.NewEncoder(&want)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	require.NoError(t, encoder.Encode(dashboard()))
	got, err := os.ReadFile("echohealth.json")
	require.NoError(t, err)
	assert.Equal(t, want.String(), string(got), "go run ./deploy/grafana > deploy/grafana/echohealth.json")
}

// Every metric that a panel shows is one of ours, and every one of ours is on a panel, or is part of a query.
func TestMetrics(t *testing.T) {
	ours := map[string]bool{}
	for _, family := range exposition.Families {
		ours[family.Name] = false
	}
	name := regexp.MustCompile(`\bechohealth_[a-z_]+`)
	for _, row := range rows {
		for _, panel := range row.panels {
			for _, query := range panel.queries {
				assert.NotContains(t, query.expr, `le=`, "Prometheus 2 and 3 write it differently")
				for _, metric := range name.FindAllString(query.expr, -1) {
					for _, suffix := range []string{"_bucket", "_sum", "_count"} {
						metric = strings.TrimSuffix(metric, suffix)
					}
					if metric == "echohealth_unavailable" { // of a recording rule
						continue
					}
					_, ok := ours[metric]
					assert.True(t, ok, metric)
					ours[metric] = true
				}
			}
		}
	}
	for metric, shown := range ours {
		hidden := regexp.MustCompile(`_info$|_interval_|last_check`).MatchString(metric)
		assert.True(t, shown || hidden, "no panel shows %s", metric)
	}
}

// The panels of a line do not overlap, and none is wider than the dashboard.
func TestLayout(t *testing.T) {
	type place struct{ x, y int }
	taken := map[place]string{}
	for _, p := range layout() {
		at := p["gridPos"].(object)
		for x := at["x"].(int); x < at["x"].(int)+at["w"].(int); x++ {
			assert.Less(t, x, 24)
			for y := at["y"].(int); y < at["y"].(int)+at["h"].(int); y++ {
				assert.Empty(t, taken[place{x, y}], p["title"])
				taken[place{x, y}] = p["title"].(string)
			}
		}
	}
}
