package echohealth_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
)

func TestGroups(t *testing.T) {
	h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(),
		echohealth.WithDatabase(well), echohealth.WithRedis(failing(syscall.ECONNREFUSED), echohealth.Optional()),
		echohealth.WithCheck("slow", fixed{probes.Result{Status: probes.Warning, Reason: "above_threshold"}, 0}),
		echohealth.WithGroup("payment", "slow", "database"), echohealth.WithGroup("cart", "redis", "database"),
		echohealth.WithAlias("/payz", echohealth.Group("payment")))
	tests := []struct {
		path string
		code int
		body string // a regular expression
	}{
		{"/api/health/groups/payment", 200, `\{"status":"ready",` + timestamp +
			`,"checks":\{"slow":\{"status":"warning",[^}]*\},"database":\{"status":"ok",[^}]*\}\}\}`},
		{"/payz", 200, `\{"status":"ready",.*`},
		{"/api/health/groups/cart", 503, `\{"status":"not_ready",` + timestamp + `,"checks":\{"redis":\{"status":"error",` +
			`"reason":"connection_refused",[^}]*\},"database":\{"status":"ok",[^}]*\}\}\}`},
		{"/api/health/ready", 200, `\{"status":"ready",.*`}, // the answers of other endpoints do not change
		{"/api/health/detailed", 200, `.*,"groups":\{"payment":\{"status":"ready","checks":\["slow","database"\]\},` +
			`"cart":\{"status":"not_ready","checks":\["redis","database"\]\}\}\}`},
		{"/api/health/groups", 404, `\{"error":"not_found"\}`},
		{"/api/health/groups/nobody", 404, `\{"error":"not_found"\}`},
		{"/api/health/groups/payment/x", 404, `\{"error":"not_found"\}`},
	}
	for _, test := range tests {
		for _, slash := range []string{"", "/"} {
			answer := get(h, test.path+slash)
			assert.Equal(t, test.code, answer.Code, test.path)
			assert.Regexp(t, "^"+test.body+"$", answer.Body.String(), test.path)
			assert.True(t, json.Valid(answer.Body.Bytes()), test.path)
		}
	}
	assert.Equal(t, []echohealth.GroupReport{
		{Name: "payment", Ready: true, Checks: []string{"slow", "database"}},
		{Name: "cart", Ready: false, Checks: []string{"redis", "database"}},
	}, h.Report(t.Context()).Groups)
	assert.Equal(t, h.Report(t.Context()).Groups, h.Last().Groups)

	require.NoError(t, h.Close())
	assert.Equal(t, 503, get(h, "/api/health/groups/payment/").Code)
	assert.False(t, h.Available(t.Context(), "payment"))
}

// Answers of a group use the results of other looks, and start all due checks.
func TestGroupsShareRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		database, redis := &counting{}, &counting{}
		h := newHealth(t, quiet, echohealth.WithDatabase(database), echohealth.WithRedis(redis),
			echohealth.WithoutSystemMetrics(), echohealth.WithGroup("a", "database"), echohealth.WithGroup("b", "database"))
		for range 3 {
			for _, path := range []string{"groups/a", "groups/b", "ready", "checks/database", "detailed"} {
				require.Equal(t, 200, get(h, "/api/health/"+path).Code)
			}
			h.Available(t.Context(), "a")
			synctest.Wait()
		}
		assert.EqualValues(t, 1, database.runs.Load())
		assert.EqualValues(t, 1, redis.runs.Load(), "a request for a group is a look")
	})
}

func TestGroupsInThePhases(t *testing.T) {
	h := newHealth(t, quiet, echohealth.WithDatabase(well), echohealth.WithStartupGate(),
		echohealth.WithDrainDelay(0), echohealth.WithGroup("payment", "database"))
	answer := get(h, "/api/health/groups/payment/")
	assert.Equal(t, 503, answer.Code)
	assert.Contains(t, answer.Body.String(), `"reason":"starting"`)
	assert.True(t, h.Available(t.Context(), "payment"), "requests may be served while the service starts")
	h.MarkStarted()
	assert.Equal(t, 200, get(h, "/api/health/groups/payment/").Code)
	require.NoError(t, h.Drain(t.Context()))
	answer = get(h, "/api/health/groups/payment/")
	assert.Equal(t, 503, answer.Code)
	assert.Contains(t, answer.Body.String(), `"reason":"draining"`)
	assert.False(t, h.Report(t.Context()).Groups[0].Ready)
	assert.True(t, h.Available(t.Context(), "payment"), "requests are served in the drain")
}

func TestGuardOfGroups(t *testing.T) {
	group := func(opts ...echohealth.Option) *echohealth.Health {
		return newHealth(t, append(opts, quiet, echohealth.WithDatabase(well),
			echohealth.WithGroup("payment", "database"), echohealth.WithGroup("cart", "database"))...)
	}
	codes := func(h *echohealth.Health) [3]int {
		return [3]int{get(h, "/api/health/groups/payment").Code, get(h, "/api/health/groups/cart").Code,
			get(h, "/api/health/groups/x").Code}
	}
	assert.Equal(t, [3]int{200, 200, 404}, codes(group()))
	assert.Equal(t, [3]int{401, 401, 401}, codes(group(echohealth.WithGuard(echohealth.BearerToken("x")))))
	assert.Equal(t, [3]int{404, 404, 404}, codes(group(echohealth.WithPublic(echohealth.Ready))))
	assert.Equal(t, [3]int{200, 200, 404}, codes(group(echohealth.WithPublic(echohealth.Groups))))
	one := group(echohealth.WithPublic(echohealth.Group("payment")), echohealth.WithAlias("/payz", echohealth.Group("payment")))
	assert.Equal(t, [3]int{200, 404, 404}, codes(one))
	assert.Equal(t, 200, get(one, "/payz").Code)
	private := httptest.NewRecorder()
	one.Private(echohealth.ShowErrors()).ServeHTTP(private, httptest.NewRequest(http.MethodGet, "/api/health/groups/cart/", nil))
	assert.Equal(t, 200, private.Code)
}

func TestInvalidGroups(t *testing.T) {
	database := echohealth.WithDatabase(well)
	for want, opts := range map[string][]echohealth.Option{
		`WithGroup("a b"): the name must match [A-Za-z0-9][A-Za-z0-9._-]{0,63}`:                            {echohealth.WithGroup("a b", "database")},
		`WithGroup(""): the name must match`:                                                               {echohealth.WithGroup("", "database")},
		`WithGroup("database"): the name must not be that of a check`:                                      {echohealth.WithGroup("database", "database")},
		`WithGroup("a"): the name is used twice`:                                                           {echohealth.WithGroup("a", "database"), echohealth.WithGroup("a", "database")},
		`WithGroup("a"): a group must have at least one check`:                                             {echohealth.WithGroup("a")},
		`WithGroup("a"): there is no check "cpu"; a group depends on configured checks, never on system m`: {echohealth.WithGroup("a", "cpu")},
		`WithGroup("a"): the check "database" is named twice`:                                              {echohealth.WithGroup("a", "database", "database")},
		`WithPublic: the endpoint "groups" needs WithGroup`:                                                {echohealth.WithPublic(echohealth.Groups)},
		`WithAlias("/b", "groups/b"): the endpoint "groups/b" needs WithGroup("b", …)`:                     {echohealth.WithGroup("a", "database"), echohealth.WithAlias("/b", echohealth.Group("b"))},
		`WithAlias("/b", "groups"): the endpoint must have one path, and "groups" has many`:                {echohealth.WithGroup("a", "database"), echohealth.WithAlias("/b", echohealth.Groups)},
		`the endpoint must be one of WithPublic's`: {echohealth.WithGroup("a", "database"), echohealth.WithPublic(echohealth.Live),
			echohealth.WithAlias("/b", echohealth.Group("a"))},
	} {
		_, err := echohealth.New(append(opts, database)...)
		assert.ErrorContains(t, err, want)
	}
}

// Available uses the last results, starts the due checks, and waits only for a check without a recent result.
func TestAvailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		var runs atomic.Int64
		database := probes.Func(func(ctx context.Context) error {
			runs.Add(1)
			time.Sleep(100 * time.Millisecond)
			if down.Load() {
				return errors.New("down")
			}
			return nil
		})
		h := newHealth(t, quiet, echohealth.WithDatabase(database), echohealth.WithRedis(well),
			echohealth.WithoutSystemMetrics(), echohealth.WithGroup("payment", "redis", "database"))
		timed := func() (bool, time.Duration) {
			began := time.Now()
			available := h.Available(t.Context(), "payment")
			return available, time.Since(began)
		}
		assertTimed := func(available bool, took time.Duration, message string) {
			t.Helper()
			is, t0 := timed()
			assert.Equal(t, available, is, message)
			assert.Equal(t, took, t0, message)
		}
		assertTimed(true, 100*time.Millisecond, "there is no result yet")
		assertTimed(true, 0, "it is fresh")
		assert.EqualValues(t, 1, runs.Load())

		down.Store(true)
		time.Sleep(30 * time.Second)
		assertTimed(true, 0, "the last result is recent; a run starts")
		time.Sleep(time.Second / 2)
		assert.EqualValues(t, 2, runs.Load())
		assertTimed(false, 0, "the run has found it")
		down.Store(false)
		time.Sleep(time.Second)
		assertTimed(false, 0, "the last result is recent; a run starts")
		time.Sleep(time.Second / 2)
		assertTimed(true, 0, "it is found without any other request")

		down.Store(true)
		time.Sleep(time.Minute + time.Second)
		assertTimed(false, 100*time.Millisecond, "the last result is too old")
		down.Store(false)
		time.Sleep(time.Minute + time.Second)
		assertTimed(true, 100*time.Millisecond, "the last result is too old")
	})
}

// For a check that hangs, the first call of Available waits for the timeout, and later calls do not wait.
func TestAvailableOfAHungCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		h := newHealth(t, quiet, echohealth.WithDatabase(deaf(hang)), echohealth.WithoutSystemMetrics(),
			echohealth.WithGroup("payment", "database"))
		began := time.Now()
		assert.False(t, h.Available(t.Context(), "payment"))
		assert.Equal(t, 800*time.Millisecond, time.Since(began))
		time.Sleep(10 * time.Minute)
		began = time.Now()
		assert.False(t, h.Available(t.Context(), "payment"))
		assert.Zero(t, time.Since(began))
		close(hang)
	})
}

func TestAvailableOfAnUnknownGroup(t *testing.T) {
	log := &logBuffer{}
	h := newHealth(t, logTo(log), echohealth.WithDatabase(well), echohealth.WithoutSystemMetrics())
	for range 3 {
		assert.False(t, h.Available(t.Context(), "paymnet"))
	}
	require.NoError(t, h.Close())
	require.Len(t, records(log), 1)
	assert.Contains(t, records(log)[0], "paymnet")
}
