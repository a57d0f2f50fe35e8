package echohealth_test

import (
	"encoding/json"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
)

var (
	anyOfOurs = regexp.MustCompile(`^/api/health(/live|/ready|/startup|/detailed|/checks/database|/checks/redis)?/?$`)
	forAll    = regexp.MustCompile(`^/api/health/(live|startup|ready)/?$`)
	unready   = regexp.MustCompile(`^/api/health/(ready|checks/redis)/?$`)
)

// FuzzRequest checks that every request gets the answer of the contract, and that no header gets a client
// past a guard.
func FuzzRequest(f *testing.F) {
	const token = "s3cret"
	h, err := echohealth.New(quiet, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(well), echohealth.WithRedis(failing(syscall.ECONNREFUSED)),
		echohealth.WithGuard(echohealth.AnyOf(echohealth.BearerToken(token), echohealth.Networks("10.0.0.0/8"))))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range []string{"/api/health/live", "/api/health/startup/", "/api/health/ready", "/api/health/checks/redis/", "/api/health", "/api/health//",
		"/api/healthy", "/api/health/%2e%2e", "/api/health/checks/\x00", "/API/health/live", "*", ""} {
		f.Add("GET", path, "Authorization", "Bearer s3cret", "192.0.2.1:1")
		f.Add("HEAD", path, "X-Forwarded-For", "10.0.0.1", "10.0.0.1:1")
		f.Add("POST", path, "Authorization", "Basic OnMzY3JldA==", "[::1%eth0]:1")
		f.Add("get", path, "Authorization", "bearer\x00", "@")
	}
	f.Fuzz(func(t *testing.T, method, path, name, value, peer string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Method, r.URL.Path, r.RemoteAddr = method, path, peer
		r.Header.Set(name, value)
		w := httptest.NewRecorder()
		ours := path == "/api/health" || strings.HasPrefix(path, "/api/health/")
		if h.TryServe(w, r) != ours || h.Handles(r) != ours {
			t.Fatalf("%q: ours is %v", path, ours)
		}
		if !ours {
			if len(w.Header()) > 0 || w.Body.Len() > 0 {
				t.Fatalf("%q: it was touched", path)
			}
			return
		}
		in, out := expected(method, path, true), expected(method, path, false)
		switch token, near := hasToken(r), isNear(peer); {
		case token && w.Code != in, !near && !token && w.Code != out, w.Code != in && w.Code != out:
			t.Fatalf("%q %q, %q: %q of %q: %d, but %d for friends and %d for others", method, path, name, value, peer, w.Code, in, out)
		}
		if method != http.MethodHead && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%q", w.Body.String())
		}
	})
}

// expected returns the status that the contract demands.
func expected(method, path string, invited bool) int {
	reads := method == http.MethodGet || method == http.MethodHead
	switch {
	case !invited && !forAll.MatchString(path):
		return http.StatusUnauthorized
	case !anyOfOurs.MatchString(path):
		return http.StatusNotFound
	case !reads:
		return http.StatusMethodNotAllowed
	case unready.MatchString(path):
		return http.StatusServiceUnavailable
	}
	return http.StatusOK
}

// hasToken reports whether the header has the token as in RFC 6750 or RFC 7617.
func hasToken(r *http.Request) bool {
	_, password, ok := r.BasicAuth()
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return ok && password == "s3cret" || strings.EqualFold(scheme, "Bearer") && token == "s3cret"
}

func isNear(peer string) bool {
	host, _, _ := net.SplitHostPort(peer)
	address, err := netip.ParseAddr(host)
	return err == nil && netip.MustParsePrefix("10.0.0.0/8").Contains(address.Unmap().WithZone(""))
}

// FuzzOptions checks that New either returns an error for the options, or a Health that answers.
func FuzzOptions(f *testing.F) {
	f.Add("redis", "/api/health", "/readyz", "ready", "data", "/", "s3cret", "10.0.0.0/8", "1.4.2", int64(time.Second), int64(time.Second), int64(0), 3, 1, 90.0, 95.0)
	f.Add("", "", "", "", "", "", "", "", "", int64(0), int64(0), int64(0), 0, 0, 0.0, 0.0)
	f.Add("cpu", "/a%20b", "/api/health", "checks", "cpu", "data", "a\n", "10.0.0.0", "\xff\"", int64(-1), int64(1<<63-1), int64(1<<62), -1, math.MaxInt, 1e300, -1.0)
	f.Fuzz(func(t *testing.T, name, prefix, alias, endpoint, disk, path, token, network, version string, timeout, freshness, slow int64, failures, successes int,
		warning, critical float64) {
		h, err := echohealth.New(quiet,
			echohealth.WithCheck(name, well, echohealth.Timeout(time.Duration(timeout)), echohealth.FreshFor(time.Duration(freshness)),
				echohealth.SlowAfter(time.Duration(slow)), echohealth.FailureThreshold(failures), echohealth.SuccessThreshold(successes)),
			echohealth.WithPrefix(prefix), echohealth.WithAlias(alias, echohealth.Endpoint(endpoint)), echohealth.WithDisk(disk, path),
			echohealth.WithGuard(echohealth.AnyOf(echohealth.BearerToken(token), echohealth.Networks(network))), echohealth.WithVersion(version),
			echohealth.WithDiskThreshold(warning, critical), echohealth.WithConnectionsThreshold(int(warning), int(critical)))
		if err != nil {
			if h != nil || !strings.HasPrefix(err.Error(), "echohealth: ") {
				t.Fatalf("%v, %v", h, err)
			}
			return
		}
		defer func() { _ = h.Close() }()
		for _, path := range []string{prefix, prefix + "/live", prefix + "/detailed/", prefix + "/checks/" + name, alias} {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.URL.Path = path
			w := httptest.NewRecorder()
			h.Private().ServeHTTP(w, r)
			if w.Code != http.StatusOK || !json.Valid(w.Body.Bytes()) {
				t.Fatalf("%q: %d %s", path, w.Code, w.Body)
			}
		}
	})
}
