// Package conformance requests every endpoint of a service and validates each answer.
package conformance

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/client"
	"github.com/echo-probes/echohealth/healthcheck/internal/health"
	"github.com/echo-probes/echohealth/healthcheck/internal/jsonvalue"
	"github.com/echo-probes/echohealth/healthcheck/internal/outcome"
	"github.com/echo-probes/echohealth/healthcheck/internal/terminal"
	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// testTimeout limits the duration of the whole test, because a service may have many or slow checks.
const testTimeout = time.Minute

// Test requests every endpoint of a service and validates each answer.
type Test struct {
	Request client.Settings
	Target  client.Target // its path is the prefix; without a path, the default prefix applies
	FailOn  health.Level  // the lowest level at which the test fails, even without faults
}

// Run runs the test and prints the faults of the answers. It returns true if there are no faults and the
// service's level is below FailOn.
func (c Test) Run(ctx context.Context, out *terminal.Output) bool {
	ctx, cancel := context.WithTimeout(ctx, testTimeout)
	defer cancel()
	t := &testRun{ctx: ctx, request: c.Request, target: c.Target, level: health.Well}
	for _, e := range endpoints {
		t.testEndpoint(e)
	}
	for _, name := range t.names {
		t.testGet(endpoint{checkPath + name, false, validateSingle}, "/")
	}
	for _, name := range t.groups {
		t.testGet(endpoint{groupPath + name, false, validateReady}, "/")
	}
	if t.valid.URL == nil {
		prefix := t.target.Below("").String()
		t.report.wrong = append(t.report.wrong, "no health endpoint is below "+prefix+": is the prefix another?")
	} else {
		t.testUnknownPath()
		t.testOtherMethod()
	}
	t.report.print(out, t.target, t.service())
	return len(t.report.wrong) == 0 && t.level < c.FailOn
}

// testRun is one run of the test.
type testRun struct {
	ctx     context.Context
	request client.Settings
	target  client.Target

	report report
	level  health.Level  // the worst level of all answers
	valid  client.Target // the first target with a valid answer; its URL is nil if there is none
	names  []string      // names of the checks
	groups []string      // names of the groups
	open   bool          // whether /detailed/ gave a JSON document, so no guard protects it
	closed bool          // whether a guard refused the request for an endpoint
}

const (
	checkPath = "checks/"
	groupPath = "groups/"
)

// endpoint is a path below the prefix and the function that validates its answer.
type endpoint struct {
	path     string
	public   bool // a guard must not protect it
	validate func(f *findings, status int, body jsonvalue.Object)
}

var endpoints = []endpoint{
	{"live", true, validateLive},
	{"ready", true, validateReady},
	{"startup", true, validateStartup},
	{"detailed", false, validateDetailed},
	{"", false, validateDetailed},
}

// testEndpoint sends GET with a trailing slash. If the endpoint exists and is open, it also sends GET without
// the slash, and HEAD.
func (t *testRun) testEndpoint(e endpoint) {
	if t.testGet(e, "/") {
		t.testGet(e, "")
		t.testHead(e)
	}
}

// testGet sends GET to an endpoint. It reports whether the answer's status is the status of a health answer.
func (t *testRun) testGet(e endpoint, slash string) bool {
	at := t.target.Below(e.path + slash)
	a := t.ask(http.MethodGet, at)
	if a == nil {
		return false
	}
	found := health.IsStatusCode(a.Status)
	f := &findings{}
	var remark string
	if found {
		remark = t.testBody(f, e, at, a)
	} else {
		remark = t.testOtherStatus(f, e, at, a)
	}
	if len(*f) == 0 || found {
		f.validateHeaders(a)
		f.validateDuration(a)
	}
	t.report.add(http.MethodGet, at, a, remark, *f)
	return found
}

// testOtherStatus validates a status that no health answer has. It returns a remark for the answer's row. The
// status of a guard that refuses a request without credentials is no fault, unless the endpoint is public.
func (t *testRun) testOtherStatus(f *findings, e endpoint, at client.Target, a *client.Answer) string {
	const rule = "a health answer must have 200 or 503"
	status, why := client.StatusText(a.Status), t.request.ExplainStatus(at, a)
	t.closed = t.closed || isRefused(a)
	switch {
	case isRefused(a) && e.public:
		f.add("the status is %s: %s; %s", status, rule, why)
	case isRefused(a) && t.request.HasCredentials(at):
		f.add("the status is %s: %s", status, why)
	case isRefused(a):
		return "closed by a guard, not validated: " + why
	case isNotFound(a):
		return "hidden: not validated"
	default:
		f.add("the status is %s: %s", status, rule)
	}
	return ""
}

// testBody validates a body and returns the state of its outcome. It also stores the names of checks and
// groups, and the worst level.
func (t *testRun) testBody(f *findings, e endpoint, at client.Target, a *client.Answer) string {
	body, err := jsonvalue.ParseObject(a.Body)
	if err != nil {
		f.add("the body is not a JSON object")
		return ""
	}
	e.validate(f, a.Status, body)
	if t.valid.URL == nil && len(*f) == 0 {
		t.valid = at
	}
	o := outcome.Judge(t.request, at, a)
	// The answers of single checks and groups don't count for the level. A check may be optional, so its error
	// need not be a failure of the service.
	if o.Problem == "" && !strings.HasPrefix(e.path, checkPath) && !strings.HasPrefix(e.path, groupPath) {
		t.level = max(t.level, o.Level)
	}
	for _, c := range o.Document.Checks {
		if health.IsCheckName(c.Name) && !slices.Contains(t.names, c.Name) {
			t.names = append(t.names, c.Name)
		}
	}
	groups, _ := jsonvalue.ParseObject(body.Find("groups")) // empty if the service has no groups
	for _, g := range groups {
		if health.IsCheckName(g.Name) && !slices.Contains(t.groups, g.Name) {
			t.groups = append(t.groups, g.Name)
		}
	}
	t.open = t.open || e.path == "detailed"
	return o.State()
}

// testHead sends HEAD. The answer must have the status and the headers of an answer to GET.
func (t *testRun) testHead(e endpoint) {
	at := t.target.Below(e.path + "/")
	a := t.ask(http.MethodHead, at)
	if a == nil {
		return
	}
	f := &findings{}
	f.validateHeaders(a)
	f.validateDuration(a)
	if !health.IsStatusCode(a.Status) {
		f.add("the status is %s: HEAD must be answered like GET", client.StatusText(a.Status))
	}
	t.report.add(http.MethodHead, at, a, "", *f)
}

// testUnknownPath requests a path that no service has. The answer must be the middleware's 404, or a guard's
// refusal if the guard protects /detailed/ too.
func (t *testRun) testUnknownPath() {
	at := t.target.Below("there-is-no-such-endpoint/")
	a := t.ask(http.MethodGet, at)
	if a == nil {
		return
	}
	f := &findings{}
	f.validateHeaders(a)
	if allowed := isNotFound(a) || isRefused(a) && !t.open; !allowed {
		f.add(`an unknown path below the prefix must be a 404 with {"error":"not_found"}`)
	}
	t.report.add(http.MethodGet, at, a, "", *f)
}

// testOtherMethod sends POST to an endpoint that gave a valid answer. It uses no other URL, because a POST to
// a wrong URL could change data.
func (t *testRun) testOtherMethod() {
	a := t.ask(http.MethodPost, t.valid)
	if a == nil {
		return
	}
	f := &findings{}
	f.validateHeaders(a)
	if a.Status != http.StatusMethodNotAllowed {
		f.add("the status is %s: any method but GET and HEAD must be a 405", client.StatusText(a.Status))
	}
	if allow := a.Header.Get("Allow"); allow != "GET, HEAD" {
		f.add("Allow is %q: it must be %q", text.CleanWord(allow), "GET, HEAD")
	}
	t.report.add(http.MethodPost, t.valid, a, "", *f)
}

// ask sends a request and returns the answer. If there is no answer, it adds the reason to the report and
// returns nil.
func (t *testRun) ask(method string, at client.Target) *client.Answer {
	a, err := t.request.Ask(t.ctx, at, method)
	if err != nil {
		problem := t.request.Explain(err)
		if t.ctx.Err() != nil {
			problem = "not asked: the whole test took longer than " + testTimeout.String()
		}
		t.report.add(method, at, nil, "", findings{problem})
		return nil
	}
	return a
}

// service describes the state of the service in a few words.
func (t *testRun) service() string {
	switch {
	case t.valid.URL == nil:
		return "unknown"
	case t.level == health.Failing:
		return "not well"
	case t.level == health.Warning:
		return "degraded"
	case t.closed:
		return "well, as far as the guard lets it be seen"
	}
	return "well"
}
