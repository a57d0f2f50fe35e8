// Package redisprobe checks Redis with the settings of the application's go-redis client:
//
//	echohealth.WithRedis(redisprobe.New(rdb))
//
// A check is a PING and a SET with an expiry, in one round trip. It proves that Redis can be reached,
// accepts the client's credentials, and takes writes. A PING alone proves less: a read-only replica answers
// it, and so does a server that is out of memory or whose writes are paused. A check proves nothing about
// the application's own keys and commands.
//
// # Which connection is used
//
// For a *redis.Client, with or without Sentinel, and for a *redis.ClusterClient, the probe makes its own
// connections with the client's settings: one, or one to each cluster node that it uses. It keeps them from
// check to check. So a check costs one round trip, or two in a cluster, because the probe first looks up
// the masters. A check never takes a connection that the application waits for. It also reports the cause
// of a failure at once, while a client with go-redis's defaults retries until only "context deadline
// exceeded" is left. The probe's connections use the client's dialer, credentials provider and OnConnect,
// but not its hooks and its Limiter.
//
// A kept connection still works after a password change, after the server's certificate has expired, or
// when the server has reached its client limit, but the application can make no new connection. So once a
// minute the probe makes a new connection, logs in, sends a PING and closes it. While that fails and the
// kept connection answers, the check is a warning with the reason of the failure (NewConnectionEvery).
//
// After a failover by Sentinel, a kept connection may lead to the old master, which may take writes for
// another ten seconds. So for a client from redis.NewFailoverClient the checks ask the Sentinels every two
// seconds, through the client's dialer, and connect anew if they name another master. The dialer also dials
// the master, so this costs the master a connection on which no command is sent. If no Sentinel can be
// reached, go-redis says so only after 1.7 seconds by default. A check that may not take as long is a
// timeout first, and has the cause when it is known.
//
// For a *redis.Ring, and any other implementation of redis.UniversalClient, the probe uses the client
// itself, because it cannot make a second one like it. The client's settings then determine how fast an
// answer comes and how exact its cause is. A tenth of the check's time is left unused, because many causes
// are known only when the client's time is over. The client's hooks and its Limiter are used. BaseContext
// sets the context values that a hook needs.
//
// # What is asked
//
// In a cluster every master must answer a PING, and the cluster must take writes to sixteen slots spread
// over the whole range, which it refuses when it is down. In a Ring every shard that the Ring considers up
// must answer both commands.
//
// A *redis.Client on a cluster node cannot follow to the nodes with the other slots. Unless the node has
// the sixteen slots, the check is an error with the reason misconfigured. The probe also asks for the slots
// if the server does not answer HELLO, or if the probe uses the client itself: it then does not know
// whether the server is a cluster node. Any other server takes the same commands. With PingOnly the check
// does not notice a cluster node.
//
// # What is written
//
// The probe writes one key for each process: "echohealth:" and a random word. It expires one minute after
// the last check. A user with ACL rules needs
//
//	~echohealth:* +ping +set
//
// and in a cluster +cluster|slots. For a user with other key patterns, KeyPrefix puts a prefix before all
// the probe's keys. The keys of the sixteen slots, "echohealth:slot:" and three letters, are never written:
// they are asked for by a SET that changes only a key that exists. If the user may not write
// (permission_denied) or the server is a replica (read_only), use PingOnly.
//
// # The application's pool
//
// For a *redis.Client the details pool_in_use, pool_idle and pool_max count the connections of the
// application's own pool. If all of them are in use while Redis answers, the check is a warning with the
// reason pool_saturated, not an error. If the application has closed its *redis.Client or
// *redis.ClusterClient, the check is an error with the reason client_closed, although the probe's own
// connections work. The probe finds that out without sending a command over the client.
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
	base           context.Context // source of values for each call; nil without BaseContext
	prefix         string          // of the names of all keys
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

// connTo returns nil if the probe cannot make a second client like the given one.
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
// at the latest, unless the probe uses the client itself and that client ignores its context.
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
// check still has time then.
func (p *Probe) askEarly(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-time.Until(deadline)/10))
		defer cancel()
	}
	return p.ask(ctx, p.client)
}

// Close ends a check in flight and closes the probe's own connections, within a second. It does not close
// the application's client, and does not end a check that uses the client itself. It always returns nil. A
// later check is Error with ReasonClientClosed.
func (p *Probe) Close() error {
	p.closed.Store(true)
	if p.conn != nil {
		p.conn.Close()
	}
	p.newConns.Close(time.Second)
	return nil
}

// key is the same for all checks of the process, and different in every other process, so that services that
// share one Redis do not conflict.
var key = "echohealth:" + rand.Text()

// keyExpiry is the lifetime of the key after the last check.
const keyExpiry = time.Minute
