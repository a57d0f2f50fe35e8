package e2e_test

import (
	"cmp"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/echo-probes/echohealth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const prefix = "/api/health"

// answer is a received answer.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// TestAnswers compares every answer of every endpoint in every situation with docs/schema.json and
// docs/openapi.yaml: the status, the headers and the body, for GET and HEAD, with and without the trailing
// slash.
func TestAnswers(t *testing.T) {
	for _, s := range situations {
		t.Run(s.name, func(t *testing.T) {
			h, err := echohealth.New(s.options...)
			require.NoError(t, err)
			server := httptest.NewServer(s.handler(h))
			t.Cleanup(func() {
				server.Close()
				assert.NoError(t, h.Close())
			})
			if s.before != nil {
				s.before(t, h)
			}
			c := &client{t: t, situation: s, openapi: loadOpenAPI(t), url: server.URL}
			for path, definition := range s.answers(h.Report(t.Context())) {
				c.check(path, definition)
				c.check(path+"/", definition)
			}
			c.checkWords()
		})
	}
}

func (s situation) handler(h *echohealth.Health) http.Handler {
	if s.private {
		return h.Private(echohealth.ShowErrors())
	}
	return h
}

// answers returns the paths below the prefix, with the schema definition of each answer.
func (s situation) answers(report echohealth.Report) map[string]string {
	ready := "ready"
	if s.refused != 0 {
		ready = "ready-refused"
	}
	detailed, single, nobody := "detailed", "", "not-found"
	startup := "startup"
	if s.hidden {
		startup, detailed, single = nobody, nobody, nobody
	}
	if word, ok := refusals[s.refused]; ok {
		detailed, single, nobody = word, word, word
	}
	answers := map[string]string{
		"/live": "live", "/ready": ready, "/startup": startup, "/detailed": detailed, "": detailed,
		"/groups/nobody": nobody, "/checks/nobody": nobody, "/nowhere": nobody, "/live/nowhere": nobody,
	}
	for _, check := range report.Checks {
		definition := single
		if definition == "" {
			definition = ownDefinition(check.Name)
		}
		answers["/checks/"+check.Name] = definition
	}
	for _, group := range report.Groups {
		answers["/groups/"+group.Name] = cmp.Or(single, "ready")
	}
	return answers
}

var refusals = map[int]string{http.StatusUnauthorized: "unauthorized", http.StatusForbidden: "forbidden"}

// ownDefinition returns the definition of a metric or of a check. The definition of another metric must not
// match.
func ownDefinition(name string) string {
	switch name {
	case "cpu", "memory", "disk", "connections", "process":
		return name
	case "uploads", "gone": // the disks that the situations configure
		return "disk"
	}
	return "check"
}

// client sends the requests of one situation.
type client struct {
	t         *testing.T
	situation situation
	openapi   *openapi
	url       string
}

// check requests a path with GET, HEAD and other methods.
func (c *client) check(path, definition string) {
	get := c.ask(http.MethodGet, path)
	assert.NoError(c.t, validate(c.t, definition, get.body), "GET %s: %s", path, get.body)
	assert.NoError(c.t, validate(c.t, "", get.body), "GET %s: it is none of the answers: %s", path, get.body)
	assert.NotContains(c.t, string(get.body), "s3cret", path)
	documented := documentedPath(path)
	assert.Empty(c.t, c.openapi.complaints(http.MethodGet, documented, get), "GET %s: %d %s", path, get.status, get.body)

	head := c.ask(http.MethodHead, path)
	assert.Equal(c.t, get.status, head.status, path)
	assert.Empty(c.t, c.openapi.complaints(http.MethodHead, documented, head), "HEAD %s: %d", path, head.status)

	// OpenAPI can't describe "any other method", so the document lists the 405 with GET and HEAD.
	post := c.ask(http.MethodPost, path)
	if get.status == http.StatusOK || get.status == http.StatusServiceUnavailable {
		definition = "method-not-allowed"
		assert.Equal(c.t, http.StatusMethodNotAllowed, post.status, path)
	}
	assert.NoError(c.t, validate(c.t, definition, post.body), "POST %s: %s", path, post.body)
	assert.Empty(c.t, c.openapi.complaints(http.MethodGet, documented, post), "POST %s: %d %s", path, post.status, post.body)
}

// documentedPath returns the path under which the document describes the answer. OpenAPI can't describe "any
// other path". Those paths have the same answer as a check that does not exist.
func documentedPath(path string) string {
	if strings.Contains(path, "/nowhere") {
		path = "/checks/nobody"
	}
	return prefix + path
}

// checkWords verifies that the situation is the one that its name describes.
func (c *client) checkWords() {
	c.checkWord("/live", cmp.Or(c.situation.live, "alive"))
	c.checkWord("/ready", c.situation.ready)
	c.checkWord("/startup", c.situation.startup)
	c.checkWord("/detailed", c.situation.detailed)
	for name, words := range c.situation.checks {
		assert.Equal(c.t, words, c.words("/checks/"+name), name)
	}
	for _, text := range c.situation.shows {
		assert.Contains(c.t, string(c.ask(http.MethodGet, "/detailed").body), text)
	}
}

func (c *client) checkWord(path, words string) {
	if words != "" {
		assert.Equal(c.t, words, c.words(path), path)
	}
}

// words returns the status of an answer, and its reason or phase if it has one.
func (c *client) words(path string) string {
	var document struct{ Status, Reason, Phase string }
	require.NoError(c.t, json.Unmarshal(c.ask(http.MethodGet, path).body, &document), path)
	return strings.TrimSpace(document.Status + " " + document.Reason + document.Phase)
}

func (c *client) ask(method, path string) answer {
	request, err := http.NewRequestWithContext(c.t.Context(), method, c.url+prefix+path, nil)
	require.NoError(c.t, err)
	maps.Copy(request.Header, c.situation.header)
	response, err := http.DefaultTransport.RoundTrip(request)
	require.NoError(c.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(c.t, err)
	return answer{response.StatusCode, response.Header, body}
}
