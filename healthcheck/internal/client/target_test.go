package client

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The name of a file may have an @, and a query may have a colon.
func TestSocketURLs(t *testing.T) {
	for raw, want := range map[string][2]string{
		"unix:///run/app@1.sock":                   {"/run/app@1.sock", ""},
		"unix:///run/a:b.sock:/live?u=http://x":    {"/run/a:b.sock", "/live?u=http://x"},
		"unix:///run/app@1.sock:/live/?mail=a%40b": {"/run/app@1.sock", "/live/?mail=a%40b"},
	} {
		got, err := ParseTarget(raw)
		require.NoError(t, err)
		assert.Equal(t, want, [2]string{got.socket, strings.TrimPrefix(got.URL.String(), "http://localhost")})
	}
}

func TestStringHidesSecrets(t *testing.T) {
	for raw, want := range map[string]string{
		"http://x:8000":                     "http://x:8000",
		"http://user@x/live":                "http://***@x/live",
		"https://user:s3@cret@x/live?a=b":   "https://***@x/live?…",
		"http://user:%40s3cret@x/a%40b%23c": "http://***@x/a%40b%23c",
		"unix:///run/app@1.sock":            "unix:///run/app@1.sock",
		"unix:///run/app.sock:/live?a=b":    "unix:///run/app.sock:/live?…",
	} {
		got, err := ParseTarget(raw)
		require.NoError(t, err)
		assert.Equal(t, want, got.String())
	}
}
