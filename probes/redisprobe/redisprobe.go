// Package redisprobe checks Redis with the settings of the go-redis client that the application made:
//
//	echohealth.WithRedis(redisprobe.New(rdb))
//
// A check is a PING and a SET with an expiry, in one round trip. It proves that Redis can be reached, accepts
// the client's credentials, and takes writes. A PING alone would not: a read-only replica answers it, and so
// does a server that is out of memory or whose writes are paused. It proves nothing about the application's
// own keys and commands.
//
// # Which connection is used
//
// For a *redis.Client, through Sentinel too, and for a *redis.ClusterClient, the probe makes connections of
// its own with the client's settings: one, or one to each node of a cluster that it asks. They are kept from
// check to check, so that a check costs one round trip, and two in a cluster, whose masters are looked up
// first. So a check never takes a connection that the application waits for, and names the cause of a failure
// at once, where a client with go-redis's defaults tries again until only "context deadline exceeded" is
// left. The client's dialer, its credentials provider and its OnConnect are used for these connections; its
// hooks and its Limiter are not.
//
// A kept connection goes on working after the password was changed, the server's certificate has expired or
// its limit of clients is reached, when the application can make no new one. So once a minute the probe makes
// a new connection, logs in, sends a PING and closes it. While that fails and the kept one answers, the check
// is a warning with the reason of the failure (NewConnectionEvery).
//
// A *redis.Ring, and any other implementation of redis.UniversalClient, is asked itself, since no second one
// can be made like it. How fast an answer comes, and how well it names the cause, then depends on that
// client's settings. Its hooks and its Limiter are used; what a hook needs in the context is given by
// BaseContext.
//
// # What is asked
//
// In a cluster every master has to answer a PING, and writes to sixteen slots all over the cluster have to be
// taken, which it refuses when it is down. In a Ring every shard that the Ring believes to be up has to
// answer both.
//
// A *redis.Client on a node of a cluster can't follow to the nodes that have the other slots. Unless the node
// has the sixteen slots, the check is an error with the reason misconfigured. PingOnly finds out nothing
// about that, and a client that is asked itself only about the slot of the probe's key.
//
// # What is written
//
// One key for each process: "echohealth:" and a random word. It expires one minute after the last check. A
// user with ACL rules needs
//
//	~echohealth:* +ping +set
//
// and in a cluster +cluster|slots. Where the user may not write (permission_denied) or the server is a
// replica (read_only), use PingOnly.
//
// # The application's pool
//
// For a *redis.Client the details pool_in_use, pool_idle and pool_max count the connections of the
// application's own pool. When all of them are in use while Redis answers, the check is a warning with the
// reason pool_saturated, not an error. A *redis.Client or *redis.ClusterClient that the application has
// closed is an error with the reason client_closed, although the probe's own connections work. Nothing is
// sent over it to find out.
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

// A Probe checks a Redis server, cluster or ring. Make it with New.
type Probe struct {
	client         redis.UniversalClient
	conn           *redisconn.Conn // nil where the client itself is asked
	tester         *newconn.Tester // of new connections
	newConnections time.Duration   // how often
	base           context.Context // its values are each call's; nil without BaseContext
	pingOnly       bool
	invalid        error
	closed         atomic.Bool
}

// New returns a probe for the Redis that client is connected to. It connects to nothing before the first
// check. The client stays the application's: the probe neither changes nor closes it. A nil client is an
// error at construction of the health checks.
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
	p.tester = newconn.New(p.newConnections, p.connect)
	return p
}

// connTo returns nil where no second client can be made like the given one.
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
		return errors.New("redisprobe.New(nil): a client is required")
	}
	if v := reflect.ValueOf(client); v.Kind() == reflect.Pointer && v.IsNil() {
		return fmt.Errorf("redisprobe.New: the %T is nil: a client is required", client)
	}
	return nil
}

// Validate refuses a nil client and what the options refuse.
func (p *Probe) Validate() error { return p.invalid }

// Check asks Redis, and looks at the application's client.
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
	result := p.tester.Apply(probes.FromError(err))
	result.Details = after.details()
	return result
}

func (p *Probe) askRedis(ctx context.Context) error {
	ctx = basecontext.With(ctx, p.base)
	if p.conn == nil {
		return p.ask(ctx, p.client)
	}
	if err := p.conn.Do(ctx, p.ask); err != nil {
		return err
	}
	return checkOpen(p.client)
}

// Close ends a check in flight and closes the probe's own connections. The application's client stays open,
// and a check of a client that is asked itself runs on. It always returns nil. A check after it is Error with
// ReasonClientClosed.
func (p *Probe) Close() error {
	p.closed.Store(true)
	if p.conn != nil {
		p.conn.Close()
	}
	p.tester.Close(time.Second)
	return nil
}

// key is the same for all checks of the process, and another one in every other process: what several
// services write to one Redis can't clash.
var key = "echohealth:" + rand.Text()

// keyExpiry is how long the key outlives the last check.
const keyExpiry = time.Minute
