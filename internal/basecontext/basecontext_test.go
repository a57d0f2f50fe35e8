package basecontext_test

import (
	"context"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/basecontext"
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

func TestWith(t *testing.T) {
	own, cancel := context.WithCancel(context.WithValue(context.Background(), key("both"), "own"))
	ctx := basecontext.With(own, with("both", "other", "tenant", "acme"))
	assert.Equal(t, "own", ctx.Value(key("both")))
	assert.Equal(t, "acme", ctx.Value(key("tenant")))
	assert.Nil(t, ctx.Value(key("none")))
	assert.NoError(t, ctx.Err(), "the end of the other context must not count")
	assert.Equal(t, own, basecontext.With(own, context.Background()))
	assert.Equal(t, own, basecontext.With(own, nil))
	below, stop := context.WithTimeout(ctx, time.Hour)
	defer stop()
	cancel()
	<-below.Done()
	assert.ErrorIs(t, below.Err(), context.Canceled)
	assert.ErrorIs(t, context.Cause(ctx), context.Canceled)
}
