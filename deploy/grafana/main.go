// Command grafana writes the dashboard echohealth.json from the panels in panels.go:
//
//	go run ./deploy/grafana > deploy/grafana/echohealth.json
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

func main() {
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(dashboard()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

type object = map[string]any

var datasource = object{"type": "prometheus", "uid": "${datasource}"}

// dashboard returns the dashboard in the JSON format that Grafana imports.
func dashboard() object {
	return object{
		"title": "Health", "uid": "echohealth", "schemaVersion": 39, "tags": []string{"echohealth"},
		"editable": true, "refresh": "30s", "time": object{"from": "now-6h", "to": "now"},
		"templating": object{"list": variables()}, "panels": layout(),
		"annotations": object{"list": []object{}},
	}
}

func variables() []object {
	labels := func(name, query string) object {
		return object{
			"name": name, "type": "query", "datasource": datasource, "query": query, "refresh": 2,
			"includeAll": true, "multi": true, "allValue": ".*", "current": object{"text": "All", "value": "$__all"},
		}
	}
	return []object{
		{"name": "datasource", "type": "datasource", "query": "prometheus"},
		labels("job", "label_values(echohealth_ready, job)"),
		labels("instance", `label_values(echohealth_ready{job=~"$job"}, instance)`),
	}
}

const height = 8 // height of a panel in Grafana's grid units

// layout places the panels in lines. Grafana's grid has 24 units in a line.
func layout() []object {
	var all []object
	y := 0
	for _, row := range rows {
		all = append(all, object{
			"id": len(all) + 1, "type": "row", "title": row.title, "collapsed": false, "panels": []object{},
			"gridPos": object{"x": 0, "y": y, "w": 24, "h": 1},
		})
		y++
		x := 0
		for _, panel := range row.panels {
			if x+panel.width > 24 {
				x, y = 0, y+height
			}
			p := panel.object()
			p["id"], p["gridPos"] = len(all)+1, object{"x": x, "y": y, "w": panel.width, "h": height}
			all = append(all, p)
			x += panel.width
		}
		y += height
	}
	return all
}

func (p panel) object() object {
	defaults := object{"unit": p.unit, "min": 0}
	if p.max > 0 {
		defaults["max"] = p.max
	}
	if p.kind == "state-timeline" {
		defaults["mappings"] = []object{{"type": "value", "options": object{
			"0": object{"text": "ok", "color": "green"}, "1": object{"text": "warning", "color": "orange"},
			"2": object{"text": "error", "color": "red"},
		}}}
	}
	o := object{
		"type": p.kind, "title": p.title, "datasource": datasource, "targets": p.targets(),
		"fieldConfig": object{"defaults": defaults, "overrides": []object{}},
	}
	if p.about != "" {
		o["description"] = p.about
	}
	if p.kind == "table" {
		o["transformations"] = []object{
			{"id": "labelsToFields", "options": object{}},
			{"id": "merge", "options": object{}},
			{"id": "filterFieldsByName", "options": object{"include": object{
				"names": []string{"job", "instance", "component", "reason"},
			}}},
		}
	}
	return o
}

func (p panel) targets() []object {
	var targets []object
	for i, q := range p.queries {
		targets = append(targets, object{
			"refId": string(rune('A' + i)), "datasource": datasource, "legendFormat": q.legend,
			"expr":    strings.ReplaceAll(q.expr, "SELECTION", selection),
			"instant": p.kind == "stat" || p.kind == "table", "range": p.kind != "stat" && p.kind != "table",
		})
	}
	return targets
}
