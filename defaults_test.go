package echohealth_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// chooser is a failing probe that has the method Defaults.
type chooser struct {
	defaults func() probes.Defaults
	runs     atomic.Int64
}

func (c *chooser) Check(context.Context) probes.Result {
	c.runs.Add(1)
	return probes.FromError(errors.New("no"))
}

func (c *chooser) Defaults() probes.Defaults { return c.defaults() }

func chooses(d probes.Defaults) *chooser {
	return &chooser{defaults: func() probes.Defaults { return d }}
}

func TestDefaultsOfAProbe(t *testing.T) {
	rare := probes.Defaults{FreshFor: time.Hour, RetryAfter: time.Minute, Optional: true}
	tests := map[string]struct {
		defaults probes.Defaults
		opts     []echohealth.CheckOption
		more     []echohealth.Option
		runs     int64 // how many runs there are in 2 minutes
		ready    bool
		status   echohealth.Status
	}{
		"none":                 {probes.Defaults{}, nil, nil, 25, false, echohealth.Unhealthy},
		"all":                  {rare, nil, nil, 3, true, echohealth.Degraded},
		"before the service's": {rare, nil, []echohealth.Option{echohealth.WithFreshness(time.Millisecond)}, 3, true, echohealth.Degraded},
		"FreshFor alone":       {probes.Defaults{FreshFor: time.Hour}, nil, nil, 1, false, echohealth.Unhealthy},
		"the check's first":    {rare, []echohealth.CheckOption{echohealth.FreshFor(40 * time.Second)}, nil, 4, true, echohealth.Degraded},
		"named for readiness":  {rare, nil, []echohealth.Option{echohealth.WithReadiness("rare")}, 3, false, echohealth.Degraded},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				probe := chooses(test.defaults)
				h, err := echohealth.New(append(test.more, echohealth.WithCheck("rare", probe, test.opts...),
					echohealth.WithoutSystemMetrics())...)
				require.NoError(t, err)
				defer h.Close()
				for range 25 {
					report := h.Report(t.Context())
					assert.Equal(t, test.ready, report.Ready)
					assert.Equal(t, test.status, report.Status)
					time.Sleep(5 * time.Second)
				}
				assert.Equal(t, test.runs, probe.runs.Load())
			})
		})
	}
}

func TestInvalidDefaults(t *testing.T) {
	tests := map[string]struct {
		probe probes.Probe
		want  string
	}{
		"FreshFor":                    {chooses(probes.Defaults{FreshFor: 60}), `WithCheck("rare"): Defaults.FreshFor(60ns): the duration must be at least 1ms`},
		"negative":                    {chooses(probes.Defaults{FreshFor: -time.Hour}), `Defaults.FreshFor(-1h0m0s): the duration must be at least 1ms`},
		"RetryAfter":                  {chooses(probes.Defaults{FreshFor: time.Hour, RetryAfter: 60}), `Defaults.RetryAfter(60ns): the duration must be at least 1ms`},
		"RetryAfter without FreshFor": {chooses(probes.Defaults{RetryAfter: time.Minute}), `Defaults.RetryAfter(1m0s): it needs FreshFor`},
		"a panic": {
			&chooser{defaults: func() probes.Defaults { panic("password=s3cret") }},
			`Defaults of *echohealth_test.chooser panicked: password=***`,
		},
		"nil": {(*chooser)(nil), `the probe must not be a nil *echohealth_test.chooser`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := echohealth.New(echohealth.WithCheck("rare", test.probe))
			require.ErrorContains(t, err, test.want)
			assert.NotContains(t, err.Error(), "s3cret")
		})
	}
}
