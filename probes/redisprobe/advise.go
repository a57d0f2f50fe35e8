package redisprobe

import (
	"fmt"

	"github.com/redis/go-redis/v9"
)

// Advise warns of settings of the application's client that make the client's own calls hang, or that hide
// why they failed. The checks of a *redis.Client or a *redis.ClusterClient do not depend on these settings.
// The times were measured with go-redis 9.23.
func (p *Probe) Advise() []string {
	if p.invalid != nil {
		return nil
	}
	var usesDeadlines bool
	var dials int
	switch client := p.client.(type) {
	case *redis.Client:
		usesDeadlines, dials = client.Options().ContextTimeoutEnabled, client.Options().DialerRetries
	case *redis.ClusterClient:
		usesDeadlines, dials = client.Options().ContextTimeoutEnabled, client.Options().DialerRetries
	case *redis.Ring:
		usesDeadlines, dials = client.Options().ContextTimeoutEnabled, client.Options().DialerRetries
		if dials <= 0 {
			dials = 5 // a Ring's options do not contain the default of its shards
		}
	default:
		return nil
	}
	var advice []string
	if !usesDeadlines {
		advice = append(advice, "the Redis client ignores its callers' deadlines once it waits for an answer "+
			"(measured: 5s instead of 500ms on a server that hangs): set ContextTimeoutEnabled: true")
	}
	if dials > 1 {
		advice = append(advice, fmt.Sprintf("the Redis client dials %d times, with pauses, before it says why "+
			"it can't connect (measured: context deadline exceeded after 500ms instead of connection refused "+
			"after 0.2ms): "+
			"set DialerRetries: 1, and MaxRetries: -1 where the caller retries", dials))
	}
	return advice
}
