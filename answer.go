package echohealth

import (
	"net/http"
	"strconv"
)

// answer is a complete HTTP answer. It is never changed, so any number of requests may share it.
type answer struct {
	status int
	body   []byte
	length []string // the value of Content-Length, as an http.Header stores it

	contentType []string // the value of Content-Type
	policy      []string // the value of Content-Security-Policy; nil: no such header
}

func newAnswer(status int, body []byte) *answer {
	return &answer{
		status: status, body: body, length: []string{strconv.Itoa(len(body))}, contentType: applicationJSON,
	}
}

var (
	notFound         = newAnswer(http.StatusNotFound, []byte(`{"error":"not_found"}`))
	methodNotAllowed = newAnswer(http.StatusMethodNotAllowed, []byte(`{"error":"method_not_allowed"}`))
	unauthorized     = newAnswer(http.StatusUnauthorized, []byte(`{"error":"unauthorized"}`))
	forbidden        = newAnswer(http.StatusForbidden, []byte(`{"error":"forbidden"}`))
)

// All answers share these header values. Code that adds to one of them must copy it first.
var (
	applicationJSON = []string{"application/json"}
	noStore         = []string{"no-store"}
	noSniff         = []string{"nosniff"}
	allowed         = []string{"GET, HEAD"}
	connectionClose = []string{"close"}
	varyAccept      = []string{"Accept"}

	// The second challenge makes a browser ask for a password.
	challenges = []string{`Bearer realm="health"`, `Basic realm="health", charset="UTF-8"`}
)

func (a *answer) write(w http.ResponseWriter, r *http.Request) {
	header := w.Header()
	header["Content-Type"] = a.contentType
	header["Content-Length"] = a.length
	header["Cache-Control"] = noStore
	header["X-Content-Type-Options"] = noSniff
	if a.policy != nil {
		header["Content-Security-Policy"] = a.policy
	}
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(a.body) // an error only means that the client has gone away
	}
}
