package healthcheck

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// examTime bounds the manual test as a whole, however many checks there are and however slow they are.
const examTime = time.Minute

// exam is the manual test: it asks every endpoint, and validates each answer.
type exam struct {
	ctx     context.Context // of one run
	request requestSettings
	target  target // the prefix, or no path

	rows  [][]cell
	wrong []string
	level level    // the worst that the service says of itself
	found target   // the first endpoint that gave a valid answer
	names []string // of the checks, and of the metrics
	open  bool     // /detailed/ is not closed by a guard

	closed bool // something is
}

const checkPath = "checks/"

// endpoint is what is to be asked below the prefix, and what its answer has to be.
type endpoint struct {
	path     string
	everyone bool // no guard closes it
	validate func(f *findings, status int, document []member)
}

var endpoints = []endpoint{
	{"live", true, validateLive},
	{"ready", true, validateReady},
	{"startup", true, validateStartup},
	{"detailed", false, validateDetailed},
	{"", false, validateDetailed},
}

// exam prints what is wrong. All is well if nothing is, and if what the answers say is well too.
func (s *askSettings) exam(ctx context.Context, out *output) bool {
	ctx, cancel := context.WithTimeout(ctx, examTime)
	defer cancel()
	e := &exam{ctx: ctx, request: s.request, target: s.targets[0], level: well}
	for _, endpoint := range endpoints {
		e.endpoint(endpoint)
	}
	for _, name := range e.names {
		e.get(endpoint{checkPath + name, false, validateSingle}, "/")
	}
	if e.found.url == nil {
		e.wrong = append(e.wrong, "no health endpoint is below "+e.target.below("").String()+": is the prefix another?")
	} else {
		e.unknownPath()
		e.otherMethod()
	}
	e.print(out)
	return len(e.wrong) == 0 && e.level < s.failOn
}

// endpoint asks with and without the trailing slash, and for the head alone.
func (e *exam) endpoint(p endpoint) {
	if e.get(p, "/") {
		e.get(p, "")
		e.head(p)
	}
}

// get asks for an endpoint, and reports whether it is there and open.
func (e *exam) get(p endpoint, slash string) bool {
	t := e.target.below(p.path + slash)
	a := e.ask(http.MethodGet, t)
	if a == nil {
		return false
	}
	there := isHealthStatus(a.status)
	f := &findings{}
	remark := ""
	switch {
	case there:
		remark = e.document(f, p, t, a)
	case isClosed(a) && !p.everyone:
		remark, e.closed = "closed by a guard: not validated", true
	case isNotFound(a):
		remark = "hidden: not validated"
	default:
		f.add("the status is %s: a health answer has 200 or 503", statusText(a.status))
	}
	if len(*f) == 0 || there {
		f.headers(a)
		f.time(a)
	}
	e.note(http.MethodGet, t, a, remark, f)
	return there
}

// document validates a body, and takes from it what the service says of itself.
func (e *exam) document(f *findings, p endpoint, t target, a *answer) string {
	list, err := members(a.body)
	if err != nil {
		f.add("the body is not a JSON object")
		return ""
	}
	p.validate(f, a.status, list)
	if e.found.url == nil && len(*f) == 0 {
		e.found = t
	}
	o := judge(t, a)
	if o.problem == "" && !strings.HasPrefix(p.path, checkPath) { // one check alone may be optional: the service judges
		e.level = max(e.level, o.level)
	}
	for _, c := range o.document.checks {
		if isName(c.name) && !slices.Contains(e.names, c.name) {
			e.names = append(e.names, c.name)
		}
	}
	e.open = e.open || p.path == "detailed"
	return o.state()
}

// head asks for the head alone, which is that of GET.
func (e *exam) head(p endpoint) {
	t := e.target.below(p.path + "/")
	a := e.ask(http.MethodHead, t)
	if a == nil {
		return
	}
	f := &findings{}
	f.headers(a)
	f.time(a)
	if !isHealthStatus(a.status) {
		f.add("the status is %s: HEAD is answered as GET is", statusText(a.status))
	}
	e.note(http.MethodHead, t, a, "", f)
}

// unknownPath asks for what nobody has: 404, or what the guard says to everything.
func (e *exam) unknownPath() {
	t := e.target.below("there-is-no-such-endpoint/")
	a := e.ask(http.MethodGet, t)
	if a == nil {
		return
	}
	f := &findings{}
	f.headers(a)
	if allowed := isNotFound(a) || isClosed(a) && !e.open; !allowed {
		f.add(`an unknown path below the prefix is a 404 with {"error":"not_found"}`)
	}
	e.note(http.MethodGet, t, a, "", f)
}

// otherMethod posts to an endpoint that has proved to be one, so that it can do no harm at a mistaken URL.
func (e *exam) otherMethod() {
	a := e.ask(http.MethodPost, e.found)
	if a == nil {
		return
	}
	f := &findings{}
	f.headers(a)
	if a.status != http.StatusMethodNotAllowed {
		f.add("the status is %s: any method but GET and HEAD is a 405", statusText(a.status))
	}
	if allow := a.header.Get("Allow"); allow != "GET, HEAD" {
		f.add("Allow is %q: it is %q", clean(allow, wordLimit), "GET, HEAD")
	}
	e.note(http.MethodPost, e.found, a, "", f)
}

// ask returns nil where there is no answer, and has noted it then.
func (e *exam) ask(method string, t target) *answer {
	a, err := e.request.askOnce(e.ctx, t, method)
	if err != nil {
		problem := explain(err, e.request.timeout)
		if e.ctx.Err() != nil {
			problem = "not asked: the test as a whole took longer than " + examTime.String()
		}
		e.note(method, t, nil, "", &findings{problem})
		return nil
	}
	return a
}

// note adds a row, and what was found.
func (e *exam) note(method string, t target, a *answer, remark string, f *findings) {
	verdict := cell{"ok", well}
	if len(*f) > 0 {
		verdict = cell{"WRONG", failing}
	}
	row := append([]cell{verdict}, plain(method, t.url.Path, "", "", remark)...)
	if a != nil {
		row[3].text, row[4].text = fmt.Sprint(a.status), brief(a.took)
	}
	e.rows = append(e.rows, row)
	for _, finding := range *f {
		e.wrong = append(e.wrong, method+" "+t.url.Path+": "+finding)
	}
}

// wide is the width of what is not cut.
const wide = 1000

func (e *exam) print(out *output) {
	out.printf("%s\n\n", e.target)
	for _, line := range out.table(e.rows, wide) {
		out.print(line + "\n")
	}
	if len(e.wrong) > 0 {
		out.printf("\n%s\n", out.paint(failing, "wrong:"))
	}
	for _, wrong := range e.wrong {
		out.printf("  %s\n", wrong)
	}
	out.printf("\n%d answers; things wrong: %d; the service is %s\n", len(e.rows), len(e.wrong), e.service())
}

// service says what the answers say of the service.
func (e *exam) service() string {
	switch {
	case e.found.url == nil:
		return "unknown"
	case e.level == failing:
		return "not well"
	case e.level == warning:
		return "degraded"
	case e.closed:
		return "well, as far as the guard lets it be seen"
	}
	return "well"
}
