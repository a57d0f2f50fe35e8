// Package redisprobe checks Redis with the settings of the application's go-redis client:
//
//	echohealth.WithRedis(redisprobe.New(rdb))
//
// A check is a PING and a SET with an expiry, in one round trip. It proves that Redis can be reached, accepts
// the client's credentials, and takes writes. A PING alone proves less, because a read-only replica answers
// it, and so does a server that is out of memory or whose writes are paused. A check proves nothing about the
// application's own keys and commands.
//
// # Which connection is used
//
// For a *redis.Client, with or without Sentinel, and for a *redis.ClusterClient, the probe makes its own
// connections with the client's settings. It makes one connection, or in a cluster one to each node that it
// uses, and keeps them from check to check. So a check costs one round trip. In a cluster it costs three,
// because the probe first looks up the masters and pings them. A check never takes a connection that the
// application waits for. It also reports the cause of a failure immediately, whereas a client with go-redis's
// defaults retries until the only error is "context deadline exceeded". The probe's connections use the
// client's dialer, credentials provider and OnConnect, but not its hooks and its Limiter.
//
// A kept connection still works after a password change, after the server's certificate has expired, or when
// the server has reached its client limit, but the application can make no new connection. So once a minute
// the probe makes a new connection, logs in, sends a PING and closes it. If that fails and the kept
// connection answers, the check is a warning with the reason of the failure. NewConnectionEvery changes the
// interval or turns this off.
//
// After a failover by Sentinel, a kept connection may lead to the old master, which may take writes for
// another ten seconds. So for a client from redis.NewFailoverClient the checks ask the Sentinels every two
// seconds, through the client's dialer, and connect anew if the Sentinels name another master. The dialer
// also dials the master, so this costs the master a connection on which no command is sent. If no Sentinel
// can be reached, go-redis returns the cause only after 1.7 seconds by default. A check with a shorter
// timeout is then a timeout at first, and a later check has the cause.
//
// For a *redis.Ring, and any other implementation of redis.UniversalClient, the probe uses the client itself,
// because it cannot make a second client with the same settings. The client's settings then determine how
// fast the result is known and how exact its cause is. The probe gives the client nine tenths of the check's
// time, because many causes are known only when the client's time is over. The client calls its hooks and its
// Limiter. BaseContext sets the context values that a hook needs.
//
// # What a check requires
//
// In a cluster every master must answer a PING. The cluster must also take writes to sixteen slots spread
// over the whole range. It refuses them when it is down. In a Ring every shard that the Ring considers up
// must answer both commands.
//
// A *redis.Client on a cluster node does not follow redirections to the nodes with the other slots. Unless
// the node has all of the sixteen slots, the check is an error with the reason misconfigured. If the server
// does not answer HELLO, or if the probe uses the client itself, the probe does not know whether the server
// is a cluster node. It then tests the sixteen slots too. A server without cluster mode accepts the same
// commands. With PingOnly the check does not notice a cluster node.
//
// # Which keys are written
//
// The probe writes one key for each process: "echohealth:" followed by a random word. The key expires one
// minute after the last check. A user with ACL rules needs
//
//	~echohealth:* +ping +set
//
// and in a cluster +cluster|slots. For a user with other key patterns, KeyPrefix puts a prefix before all the
// probe's keys. The probe tests the sixteen slots with keys named "echohealth:slot:" and three letters. It
// never creates these keys, because their SET changes only a key that exists. If the user may not write
// (permission_denied) or the server is a replica (read_only), use PingOnly.
//
// # The application's pool
//
// For a *redis.Client the details pool_in_use, pool_idle and pool_max count the connections of the
// application's own pool. If all of them are in use and Redis answers, the check is a warning with the reason
// pool_saturated, not an error. If the application has closed its *redis.Client or *redis.ClusterClient, the
// check is an error with the reason client_closed, although the probe's own connections work. To find this
// out, the probe sends no command over the client.
package redisprobe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/internal/basecontext"
	"github.com/echo-probes/echohealth/internal/newconn"
	"github.com/echo-probes/echohealth/internal/redisconn"
	"github.com/echo-probes/echohealth/probes"
	"github.com/redis/go-redis/v9"
)

// A Probe checks a Redis server, cluster or ring. Make it with New. Its methods may be called from any
// goroutine.
type Probe struct {
	client         redis.UniversalClient
	conn           *redisconn.Conn // nil if the probe uses the client itself
	newConns       *newconn.Tester
	newConnections time.Duration   // 0: never
	base           context.Context // its values are visible during each check; nil without BaseContext
	prefix         string          // prefix of the names of all keys
	pingOnly       bool
	invalid        error
	closed         atomic.Bool
}

// New returns a probe of the Redis that client is connected to. The probe connects only during checks. It
// neither changes nor closes the client. A nil client is an error at construction of the health checks.
func New(client redis.UniversalClient, opts ...Option) *Probe {
	p := &Probe{client: client, newConnections: newconn.Default, invalid: validate(client)}
	for _, opt := range opts {
		p.invalid = errors.Join(p.invalid, opt(p))
	}
	if p.invalid == nil {
		p.conn = connTo(client)
	}
	if p.conn == nil {
		p.newConnections = 0
	}
	p.newConns = newconn.New(p.newConnections, p.connect)
	return p
}

// connTo returns the probe's own connection with the settings of client, or nil if the probe cannot make a
// second client with these settings.
func connTo(client redis.UniversalClient) *redisconn.Conn {
	switch client := client.(type) {
	case *redis.Client:
		return redisconn.New(client.Options())
	case *redis.ClusterClient:
		return redisconn.NewCluster(client.Options())
	}
	return nil
}

func validate(client redis.UniversalClient) error {
	if client == nil {
		return errors.New("redisprobe.New(nil): the client must not be nil")
	}
	if v := reflect.ValueOf(client); v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Errorf("redisprobe.New: the %T must not be nil", client)
	}
	return nil
}

// Validate returns an error for a nil client and for invalid arguments of the options.
func (p *Probe) Validate() error { return p.invalid }

// Check sends the commands to Redis, and reads the state of the application's pool. It returns when ctx ends
// at the latest. The only exception is a client that the probe uses itself and that ignores its context.
func (p *Probe) Check(ctx context.Context) probes.Result {
	if p.invalid != nil {
		return probes.Result{Status: probes.Error, Reason: probes.ReasonMisconfigured, Err: p.invalid}
	}
	if p.closed.Load() {
		return probes.FromError(redisconn.ErrClosed)
	}
	before := p.pool()
	err := p.askRedis(ctx)
	after := p.pool()
	if err == nil {
		err = saturated(before, after)
	}
	result := p.newConns.Apply(ctx, probes.FromError(err))
	result.Details = after.details()
	return result
}

func (p *Probe) askRedis(ctx context.Context) error {
	ctx = basecontext.With(ctx, p.base)
	if p.conn == nil {
		return p.askEarly(ctx)
	}
	if err := p.conn.Do(ctx, p.ask); err != nil {
		return err
	}
	return checkOpen(p.client)
}

// askEarly sends the commands through the application's client, with nine tenths of the remaining time as the
// deadline. A client that retries returns the cause, such as a refused connection, only at its deadline. The
// check then still has time to return that cause.
func (p *Probe) askEarly(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-time.Until(deadline)/10))
		defer cancel()
	}
	return p.ask(ctx, p.client)
}

// Close cancels a check in progress and closes the probe's own connections, within a second. It does not
// close the application's client, and does not cancel a check that uses the client itself. It always returns
// nil. A later check is Error with ReasonClientClosed.
func (p *Probe) Close() error {
	p.closed.Store(true)
	if p.conn != nil {
		p.conn.Close()
	}
	p.newConns.Close(time.Second)
	return nil
}

// key is the same for all checks of the process, and different in every other process, so that services that
// share one Redis do not write the same key.
var key = "echohealth:" + rand.Text()

// keyExpiry is the lifetime of the key after the last check.
const keyExpiry = time.Minute
