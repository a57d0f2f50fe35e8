package sharedrun_test

import (
	"context"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/sharedrun"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
)

type key string

// with returns a context that has ended and has these values.
func with(values ...string) context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for i := 0; i < len(values); i += 2 {
		ctx = context.WithValue(ctx, key(values[i]), values[i+1])
	}
	return ctx
}

// Hooks and tracers of the client must get the values of a check's context, such as the check's name.
func TestARunHasTheValuesOfTheCheckThatStartedIt(t *testing.T) {
	runner := sharedrun.New(func() {})
	defer runner.Close(time.Second)
	r := runner.Join(with("check", "database"), time.Hour, func(ctx context.Context) probes.Result {
		assert.Equal(t, "database", ctx.Value(key("check")))
		deadline, _ := ctx.Deadline()
		assert.Greater(t, time.Until(deadline), time.Minute)
		assert.NoError(t, ctx.Err())
		return probes.Result{Status: probes.OK}
	})
	<-r.Done()
	assert.Equal(t, probes.OK, r.Result().Status)
}
