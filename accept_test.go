package echohealth

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPrefersOpenMetrics(t *testing.T) {
	tests := []struct {
		accept string
		want   bool
	}{
		{"", false},
		{"*/*", false},
		{"text/plain", false},
		{"application/openmetrics-text", true},
		{"application/openmetrics-text; version=1.0.0", true},
		{"Application/OpenMetrics-Text;Version=\"1.0.0\"", true},
		{"application/openmetrics-text;version=2.0.0", false},
		{"application/openmetrics-text;q=0", false},
		{"application/openmetrics-text;q=0.0", false},
		{"application/openmetrics-text;q=x", false},
		{"application/openmetrics-text;q=1.1", false},
		{"application/openmetrics-text;q=-1", false},
		{"application/openmetrics-text;q=0.1234", false},
		{"application/openmetrics-text;q=0.5,text/plain;q=0.4", true},
		{"application/openmetrics-text;q=0.5,text/plain;q=0.6", false},
		{"application/openmetrics-text;q=0.5,text/*;q=0.6", false},
		{"application/openmetrics-text;q=0.5,*/*;q=0.6", false},
		{"application/openmetrics-text;q=0.5,*/*;q=0.6,text/plain;q=0.1", true},
		{"text/plain;version=0.0.4;q=0.5,application/openmetrics-text;q=0.001,*/*;q=0.1", false},
		// The header of Prometheus 2.42, and that of Prometheus 3.
		{"application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75," +
			"text/plain;version=0.0.4;q=0.5,*/*;q=0.1", true},
		{"application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;" +
			"version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;" +
			"q=0.2,*/*;q=0.1", true},
		{",,;;=,", false},
	}
	for _, test := range tests {
		got := prefers([]string{test.accept}, "application/openmetrics-text", "text/plain", "0.0.1", "1.0.0")
		assert.Equal(t, test.want, got, test.accept)
	}
	assert.True(t, prefers([]string{"text/plain;q=0.5", "application/openmetrics-text"},
		"application/openmetrics-text", "text/plain"))
	assert.False(t, prefers(nil, "application/openmetrics-text", "text/plain"))
}

// A browser's Accept header names HTML. The headers of curl, of probes and of programs do not.
func TestPrefersHTML(t *testing.T) {
	for accept, want := range map[string]bool{
		"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8": true,
		"*/*":                               false,
		"application/json, */*":             false,
		"application/json, text/html":       true,
		"text/*":                            false,
		"text/html;q=0.5, application/json": false,
	} {
		assert.Equal(t, want, prefers([]string{accept}, "text/html", "application/json"), accept)
	}
}
