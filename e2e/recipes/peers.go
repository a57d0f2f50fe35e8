package recipes

import (
	"context"

	"github.com/alexliesenfeld/health"
	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	healthgo "github.com/hellofresh/health-go/v5"
)

func fromAlexliesenfeld(check health.Check) echohealth.Option {
	var options []echohealth.CheckOption
	if check.Timeout > 0 {
		options = append(options, echohealth.Timeout(check.Timeout))
	}
	return echohealth.WithCheck(check.Name, probes.Func(check.Check), options...)
}

func fromHealthGo(check healthgo.Config) echohealth.Option {
	var options []echohealth.CheckOption
	if check.Timeout > 0 {
		options = append(options, echohealth.Timeout(check.Timeout))
	}
	if check.SkipOnErr {
		options = append(options, echohealth.Optional())
	}
	return echohealth.WithCheck(check.Name, probes.Func(check.Check), options...)
}

func fromHeptiolabs(check func() error) probes.Func {
	return func(context.Context) error { return check() }
}
