package recipes

import (
	"context"
	"errors"
	"time"

	"github.com/echo-probes/echohealth/probes"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func kafkaProbe(client *kgo.Client) probes.Func {
	return func(ctx context.Context) error {
		err := client.Ping(ctx)
		if errors.Is(err, kerr.SaslAuthenticationFailed) {
			return probes.Fail(probes.ReasonAuthenticationFailed, err)
		}
		return err
	}
}

func consume(ctx context.Context, client *kgo.Client, alive *probes.Heartbeat, handle func(*kgo.Record)) {
	for ctx.Err() == nil {
		poll, cancel := context.WithTimeout(ctx, time.Second) // so that an idle consumer beats too
		fetches := client.PollFetches(poll)
		cancel()
		fetches.EachRecord(handle)
		alive.Beat() // all records of this poll have been handled
	}
}
