package echohealth_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// well is a probe that always succeeds.
var well = probes.Func(func(context.Context) error { return nil })

// failing returns a probe that always fails with err.
func failing(err error) probes.Func {
	return func(context.Context) error { return err }
}

// strict is a probe with invalid settings.
type strict struct{ probes.Func }

func (strict) Validate() error {
	return errors.New(`the URL "amqp://app:s3cret@rabbit:5672/" has no vhost`)
}

// rash is a probe whose method Validate panics.
type rash struct{ probes.Func }

func (rash) Validate() error { panic("s3cret: password=s3cret") }

type pointer struct{}

func (*pointer) Check(context.Context) probes.Result { return probes.Result{Status: probes.OK} }

func TestInvalidOptions(t *testing.T) {
	tests := []struct {
		option echohealth.Option
		want   string
	}{
		{nil, `option 1 must not be nil`},
		{echohealth.WithDatabase(nil), `WithDatabase: the probe must not be nil`},
		{echohealth.WithRedis((*pointer)(nil)), `WithRedis: the probe must not be a nil *echohealth_test.pointer`},
		{echohealth.WithAMQP(probes.Func(nil)), `WithAMQP: probes.Func must not be nil`},
		{echohealth.WithCelery(strict{well}), `WithCelery: the URL "amqp://app:***@rabbit:5672/" has no vhost`},
		{echohealth.WithCelery(rash{well}), `WithCelery: Validate of echohealth_test.rash panicked: s3cret: password=***`},
		{echohealth.WithDatabase(well, nil), `WithDatabase: check option 1 must not be nil`},
		{echohealth.WithCheck("", well), `WithCheck(""): the name must match [A-Za-z0-9][A-Za-z0-9._-]{0,63}`},
		{echohealth.WithCheck("two words", well), `WithCheck("two words"): the name must match [A-Za-z0-9][A-Za-z0-9._-]{0,63}`},
		{echohealth.WithCheck("-x", well), `WithCheck("-x"): the name must match`},
		{echohealth.WithCheck("ä", well), `WithCheck("ä"): the name must match`},
		{echohealth.WithCheck(strings.Repeat("a", 65), well), `: the name must match`},
		{echohealth.WithCheck("cpu", well), `WithCheck("cpu"): the name is reserved for a system metric`},
		{echohealth.WithCheck("process", well), `WithCheck("process"): the name is reserved for a system metric`},
		{echohealth.WithCheck("disk", well), `the name "disk" is reserved for a disk`},
		{echohealth.WithCheck("x", nil), `WithCheck("x"): the probe must not be nil`},

		{echohealth.WithCheck("x", well, echohealth.Timeout(0)), `WithCheck("x"): Timeout(0s): the duration must be at least 1ms (a bare number is in nanoseconds)`},
		{echohealth.WithCheck("x", well, echohealth.Timeout(-time.Second)), `WithCheck("x"): Timeout(-1s): the duration must be at least 1ms`},
		{echohealth.WithCheck("x", well, echohealth.FreshFor(800)), `WithCheck("x"): FreshFor(800ns): the duration must be at least 1ms`},
		{echohealth.WithCheck("x", well, echohealth.SlowAfter(999*time.Microsecond)), `WithCheck("x"): SlowAfter(999µs): the duration must be at least 1ms`},
		{echohealth.WithCheck("x", well, echohealth.SlowAfter(time.Second)), `WithCheck("x"): SlowAfter(1s): it must be below the timeout, which is 800ms`},
		{echohealth.WithTimeout(800), `WithTimeout(800ns): the duration must be at least 1ms`},
		{echohealth.WithTimeout(0), `WithTimeout(0s): the duration must be at least 1ms`},
		{echohealth.WithTimeout(math.MaxInt64), `WithTimeout(2562047h47m16.854775807s): the duration must be at most 8760h0m0s (a year)`},
		{echohealth.WithBackground(-time.Second), `WithBackground(-1s): the duration must be 0, or at least 1ms`},
		{echohealth.WithBackground(10), `WithBackground(10ns): the duration must be 0, or at least 1ms`},
		{echohealth.WithBackground(math.MaxInt64), `WithBackground(2562047h47m16.854775807s): the duration must be at most 8760h0m0s (a year)`},
		{echohealth.WithCheck("x", well, echohealth.FreshFor(8761*time.Hour)), `WithCheck("x"): FreshFor(8761h0m0s): the duration must be at most 8760h0m0s (a year)`},
		{echohealth.WithFreshness(-1), `WithFreshness(-1ns): the duration must be at least 1ms`},

		{echohealth.WithCPUThreshold(95, 90), `WithCPUThreshold(95, 90): warning must not exceed critical`},
		{echohealth.WithCPUThreshold(101, echohealth.Never), `WithCPUThreshold(101, Never): a percentage must be 0 to 100, or Never`},
		{echohealth.WithMemoryThreshold(-0.5, 90), `WithMemoryThreshold(-0.5, 90): a percentage must be 0 to 100, or Never`},
		{echohealth.WithMemoryThreshold(math.NaN(), 90), `WithMemoryThreshold(NaN, 90): a percentage must be 0 to 100, or Never`},
		{echohealth.WithDiskThreshold(90, math.NaN()), `WithDiskThreshold(90, NaN): a percentage must be 0 to 100, or Never`},
		{echohealth.WithDiskThreshold(90, math.Inf(1)), `WithDiskThreshold(90, +Inf): a percentage must be 0 to 100, or Never`},
		{echohealth.WithDiskThreshold(0.95, 0.99), `WithDiskThreshold(0.95, 0.99): a percentage must not be a fraction: write 95 for 0.95`},
		{echohealth.WithMemoryThreshold(0, 0.999), `WithMemoryThreshold(0, 0.999): a percentage must not be a fraction: write 99.9 for 0.999`},
		{echohealth.WithCPUThreshold(math.SmallestNonzeroFloat64, 90), `a percentage must not be a fraction`},
		{echohealth.WithConnectionsThreshold(-1, 5), `WithConnectionsThreshold(-1, 5): a threshold must be 0 or more, or Never`},
		{echohealth.WithConnectionsThreshold(6, 5), `WithConnectionsThreshold(6, 5): warning must not exceed critical`},

		{echohealth.WithDisk("", "/"), `WithDisk("", "/"): the name must match`},
		{echohealth.WithDisk("memory", "/"), `WithDisk("memory", "/"): the name is reserved for a system metric`},
		{echohealth.WithDisk("data", ""), `WithDisk("data", ""): the path must be absolute`},
		{echohealth.WithDisk("data", "data"), `WithDisk("data", "data"): the path must be absolute`},

		{echohealth.WithPrefix(""), `WithPrefix(""): the path must begin with /`},
		{echohealth.WithPrefix("health"), `WithPrefix("health"): the path must begin with /`},
		{echohealth.WithPrefix("/"), `WithPrefix("/"): the path must be longer than /`},
		{echohealth.WithPrefix("/health/"), `WithPrefix("/health/"): the path must not end with /`},
		{echohealth.WithPrefix("//health"), `WithPrefix("//health"): the path must not contain //`},
		{echohealth.WithPrefix("/a/../b"), `WithPrefix("/a/../b"): the path must not contain a segment . or ..`},
		{echohealth.WithPrefix("/a/."), `WithPrefix("/a/."): the path must not contain a segment . or ..`},
		{echohealth.WithPrefix("/a?b"), `WithPrefix("/a?b"): the path must be UTF-8 without ? # % : * { } \, spaces and control characters`},
		{echohealth.WithPrefix("/a%20b"), `WithPrefix("/a%20b"): the path must be UTF-8 without`},
		{echohealth.WithPrefix("/:id"), `WithPrefix("/:id"): the path must be UTF-8 without`},
		{echohealth.WithPrefix("/health/*"), `WithPrefix("/health/*"): the path must be UTF-8 without`},
		{echohealth.WithPrefix("/{id}"), `WithPrefix("/{id}"): the path must be UTF-8 without`},
		{echohealth.WithPrefix("/a b"), `WithPrefix("/a b"): the path must be UTF-8 without`},
		{echohealth.WithPrefix("/a\nb"), `WithPrefix("/a\nb"): the path must be UTF-8 without`},
		{echohealth.WithPrefix("/a\xff"), `WithPrefix("/a\xff"): the path must be UTF-8 without`},

		{echohealth.WithReadiness("database"), `WithReadiness: there is no check "database"`},
		{echohealth.WithReadiness("cpu"), `WithReadiness: there is no check "cpu"; readiness depends on configured checks, never on system metrics`},
		{echohealth.WithLogger(nil), `WithLogger(nil): the logger must not be nil`},
	}
	for _, test := range tests {
		h, err := echohealth.New(test.option)
		if assert.ErrorContains(t, err, test.want) {
			assert.Nil(t, h)
			assert.True(t, strings.HasPrefix(err.Error(), "echohealth: "), err)
			assert.NotContains(t, err.Error(), "@rabbit:5672/ ")
		}
		assert.Panics(t, func() { echohealth.Middleware(test.option) })
	}
}

func TestInvalidCombinations(t *testing.T) {
	tests := map[string]struct {
		options []echohealth.Option
		want    string
	}{
		"a name twice":              {[]echohealth.Option{echohealth.WithRedis(well), echohealth.WithCheck("redis", well)}, `WithCheck("redis"): the name "redis" is used twice`},
		"an option twice":           {[]echohealth.Option{echohealth.WithRedis(well), echohealth.WithRedis(well)}, `WithRedis: the name "redis" is used twice`},
		"a check and a later disk":  {[]echohealth.Option{echohealth.WithCheck("data", well), echohealth.WithDisk("data", "/")}, `the name "data" is reserved for a disk`},
		"readiness names one twice": {[]echohealth.Option{echohealth.WithRedis(well), echohealth.WithReadiness("redis", "redis")}, `WithReadiness: the check "redis" is named twice`},
		"a disk that isn't measured": {[]echohealth.Option{echohealth.WithoutSystemMetrics(), echohealth.WithDisk("data", "/")},
			`WithoutSystemMetrics: nothing is measured, so WithDisk can have no effect`},
		"an alias that is not public": {[]echohealth.Option{echohealth.WithPublic(echohealth.Live), echohealth.WithAlias("/readyz", echohealth.Ready)},
			`WithAlias("/readyz", "ready"): the endpoint must be one of WithPublic's, or the middleware would answer 404 here`},
		"a threshold of nothing": {[]echohealth.Option{echohealth.WithCPUThreshold(50, 60), echohealth.WithoutSystemMetrics()}, `so WithCPUThreshold can have no effect`},
		"slower than the default timeout": {[]echohealth.Option{echohealth.WithRedis(well, echohealth.SlowAfter(100*time.Millisecond)), echohealth.WithTimeout(50 * time.Millisecond)},
			`WithRedis: SlowAfter(100ms): it must be below the timeout, which is 50ms`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := echohealth.New(test.options...)
			assert.ErrorContains(t, err, test.want)
		})
	}
}

func TestTheEdgesOfTheRules(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for _, opt := range []echohealth.Option{
		echohealth.WithTimeout(year), echohealth.WithTimeout(time.Millisecond),
		echohealth.WithCPUThreshold(0, 0), echohealth.WithMemoryThreshold(1, 100), echohealth.WithConnectionsThreshold(0, 0),
		echohealth.WithDatabase(well, echohealth.FailureThreshold(1), echohealth.SuccessThreshold(1)),
	} {
		newHealth(t, quiet, opt)
	}
	for _, name := range []string{".a", "_a", "-a"} {
		_, err := echohealth.New(quiet, echohealth.WithCheck(name, well))
		assert.ErrorContains(t, err, "the name must match")
	}
	_, err := echohealth.New(quiet, echohealth.WithDatabase(well, echohealth.SlowAfter(800*time.Millisecond)))
	assert.ErrorContains(t, err, "SlowAfter(800ms): it must be below the timeout, which is 800ms")
}

func TestAllErrorsAreJoined(t *testing.T) {
	_, err := echohealth.New(
		echohealth.WithPrefix("/"),
		echohealth.WithDatabase(nil, echohealth.Timeout(0), echohealth.FreshFor(0)),
		echohealth.WithReadiness("nobody"),
		echohealth.WithCPUThreshold(95, 90),
	)
	require.Error(t, err)
	for _, part := range []string{"WithPrefix", "the probe must not be nil", "Timeout(0s)", "FreshFor(0s)", "nobody", "WithCPUThreshold"} {
		assert.Contains(t, err.Error(), part)
	}
}

func TestValidOptions(t *testing.T) {
	options := []echohealth.Option{
		echohealth.WithDatabase(well, echohealth.Timeout(time.Millisecond), echohealth.FreshFor(time.Hour)),
		echohealth.WithRedis(well, echohealth.SlowAfter(time.Millisecond), echohealth.Optional()),
		echohealth.WithCheck(strings.Repeat("a", 64), well),
		echohealth.WithCheck("0", well),
		echohealth.WithCPUThreshold(0, 1),
		echohealth.WithCPUThreshold(0, 100),
		echohealth.WithMemoryThreshold(90, 90),
		echohealth.WithDiskThreshold(echohealth.Never, 95), // only the critical threshold
		echohealth.WithConnectionsThreshold(0, echohealth.Never),
		echohealth.WithDisk("disk", "/tmp"),
		echohealth.WithDisk("not-mounted-yet", "/nowhere"),
		echohealth.WithReadiness(),
		echohealth.WithReadiness("redis"),
		echohealth.WithPrefix("/a/.well-known/health"),
		echohealth.WithVersion(""),
	}
	h, err := echohealth.New(options...)
	require.NoError(t, err)
	assert.NoError(t, h.Close())
}
