package otelhealth

import (
	"strings"
	"testing"

	"github.com/echo-probes/echohealth/internal/exposition"
	"github.com/stretchr/testify/assert"
)

// Every family has an instrument, whose name and unit make the family's name in Prometheus, and every label
// has an attribute.
func TestInstrumentsAreTheFamilies(t *testing.T) {
	families := map[string]string{durationFamily: durationFamily}
	for _, i := range instruments {
		name := strings.ReplaceAll(i.name, ".", "_") + map[string]string{"s": "_seconds", "By": "_bytes"}[i.unit]
		switch {
		case i.kind == counter:
			name += "_total"
		case i.kind == gauge && i.unit == "1":
			name += "_ratio"
		}
		families[i.family] = name
	}
	assert.Len(t, families, len(exposition.Families))
	for i := range exposition.Families {
		family := &exposition.Families[i]
		assert.Equal(t, family.Name, families[family.Name])
		for _, label := range family.Labels {
			name := attributeName(family, label)
			assert.NotEmpty(t, name, label)
			if strings.HasPrefix(family.Name, "echohealth_component_") {
				assert.True(t, strings.HasPrefix(name, "echohealth.component."), "%s: %s", family.Name, name)
			}
		}
	}
}
