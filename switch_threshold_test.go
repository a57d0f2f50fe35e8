package echohealth_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
)

// A switch takes effect immediately, so it can have no threshold: with FailureThreshold(3) a service would
// stay ready after Off.
func TestSwitchHasNoThreshold(t *testing.T) {
	for want, opt := range map[string]echohealth.CheckOption{
		"FailureThreshold(3)": echohealth.FailureThreshold(3), "SuccessThreshold(2)": echohealth.SuccessThreshold(2),
	} {
		_, err := echohealth.New(quiet, echohealth.WithCheck("rotation", probes.NewSwitch(), opt))
		assert.EqualError(t, err, `echohealth: WithCheck("rotation"): `+want+`: a Switch must have no threshold, because Off and On `+
			`take effect immediately`)
	}
	h := newHealth(t, quiet, echohealth.WithoutSystemMetrics(), echohealth.WithCheck("rotation", probes.NewSwitch(),
		echohealth.FailureThreshold(1), echohealth.SuccessThreshold(1)))
	assert.NoError(t, h.Close())
}
