// Package celeryprobe checks Celery from the side of an application that sends tasks: does the broker take them, how many
// wait, and is there anybody to run them?
//
//	echohealth.WithCelery(celeryprobe.New("amqp://app:secret@rabbit:5672/"))
//	echohealth.WithCelery(celeryprobe.New("redis://redis:6379/0", celeryprobe.Queues("mail"), celeryprobe.PingWorkers(2)))
//
// By default a check measures the queues, which is the detail pending_tasks, and on RabbitMQ counts who consumes them,
// consumers; it writes nothing. PingWorkers, ExpectWorkers and RequireConsumers also ask the workers themselves, by the
// protocol of "celery inspect", which adds the detail workers.
//
// Only a broker that can't be used is an Error. A queue that is missing (not_found) or not consumed (no_consumers), and
// workers that do not answer (no_workers, missing_workers), are Warnings: when workers are restarted, the application
// that sends them tasks should stay in service. Strict makes errors of them.
//
// No worker is called dead, by no_workers, of which there is a trace. One that is busy in a solo pool, whose remote control is
// switched off, or that accepts no JSON does not answer either; it is a missing worker where the broker knows of a consumer,
// or passed it the ping.
//
// What each option proves and costs, the permissions that it needs, and what it leaves on the broker, is in docs/celery.md.
package celeryprobe

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/echo-probes/echohealth/internal/amqpconn"
	"github.com/echo-probes/echohealth/internal/newconn"
	"github.com/echo-probes/echohealth/probes"
)

// A Probe checks Celery's queues and, where it is told to, its workers. Make it with New or Redis.
type Probe struct {
	settings
	broker   broker
	newConns *newconn.Tester
	err      error         // why it can't be used
	turn     chan struct{} // holds a value while a check runs
	roll     roll          // guarded by turn
}

// broker is what RabbitMQ and Redis have in common for Celery.
type broker interface {
	// depths measures the queues.
	depths(ctx context.Context, names []string) ([]depth, error)
	// call asks all workers, and fills in their answers until these are enough or answerTime is over.
	call(ctx context.Context, method string, a *answers) error
	// late passes on the answers that have come since.
	late(ctx context.Context, take func(reply)) error
	// connect makes a new connection, logs in and closes it.
	connect(ctx context.Context) error
	// advise is what Advise returns.
	advise() []string
	// Close ends a call in flight too.
	Close() error
}

// depth is what a broker says of a queue.
type depth struct {
	queue     string
	missing   bool // as far as the broker can tell
	pending   int
	consumers int // unknown where the broker can't tell
}

const unknown = -1

// New returns a probe for Celery's broker, given as in CELERY_BROKER_URL: amqp://, amqps:// or pyamqp:// for
// RabbitMQ, redis:// or rediss:// for Redis. It connects at the first check and keeps one connection. Once a
// minute it makes a new one, to find out whether that is still possible, see NewConnectionEvery.
//
// Understood are the query options that Celery knows, ssl_cert_reqs (CERT_REQUIRED by default), ssl_ca_certs,
// ssl_certfile, ssl_keyfile, connect_timeout, heartbeat and login_method, and for RabbitMQ those of its URI
// specification. Anything else is an error at construction, several brokers separated by semicolons too, rather than a
// check of something other than what Celery uses.
func New(brokerURL string, opts ...Option) *Probe {
	p := newProbe(opts)
	u, _, err := amqpconn.ParseBrokerURL(brokerURL, "amqp", "amqps", "pyamqp", "redis", "rediss")
	switch {
	case err != nil:
		p.err = errors.Join(p.err, err)
	case strings.HasPrefix(u.Scheme, "redis"):
		options, err := redisOptions(brokerURL, p.tls)
		p.err = errors.Join(p.err, err)
		p.useRedis(options, nil)
	default:
		target, err := amqpconn.ParseURL(brokerURL, p.tls)
		p.err = errors.Join(p.err, err, p.redis.refuse())
		p.useAMQP(target)
	}
	return p
}

// Redis returns a probe for the Redis that the application's client is connected to, be it directly or through Sentinel.
// It makes one connection of its own with the client's settings, and never takes one of the application's. The client has
// to be a *redis.Client: Celery's transport knows neither Redis Cluster nor a Ring. Its database number is Celery's.
func Redis(client redis.UniversalClient, opts ...Option) *Probe {
	p := newProbe(opts)
	single, ok := client.(*redis.Client)
	switch {
	case client == nil || ok && single == nil:
		p.err = errors.Join(p.err, errors.New("celeryprobe.Redis(nil): a client is required"))
	case !ok:
		p.err = errors.Join(p.err, errors.New("celeryprobe.Redis: Celery needs one server: give a *redis.Client"))
	case p.tls != nil:
		p.err = errors.Join(p.err, errors.New("celeryprobe.TLSConfig is for New: the client has its own"))
	default:
		p.useRedis(single.Options(), single)
	}
	return p
}

func newProbe(opts []Option) *Probe {
	p := &Probe{settings: defaults(), turn: make(chan struct{}, 1)}
	for _, opt := range opts {
		p.err = errors.Join(p.err, opt(&p.settings))
	}
	p.err = errors.Join(p.err, p.workers.refuse())
	return p
}

func (p *Probe) useAMQP(target *amqpconn.Target) {
	if p.err == nil {
		p.use(&amqpBroker{target: target, conn: amqpconn.New(target), exchange: p.workers.exchange})
	}
}

func (p *Probe) useRedis(options *redis.Options, application *redis.Client) {
	if p.err == nil {
		p.use(newRedisBroker(&p.settings, options, application))
	}
}

func (p *Probe) use(b broker) {
	p.broker = b
	p.newConns = newconn.New(p.newConnections, b.connect)
}

// Check asks the broker, and returns when ctx ends at the latest.
func (p *Probe) Check(ctx context.Context) probes.Result {
	if p.err != nil {
		return probes.FromError(probes.Fail(probes.ReasonMisconfigured, p.err))
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return probes.FromError(ctx.Err())
	}
	r := report{strict: p.strict}
	if err := p.check(ctx, &r); err != nil {
		return p.newConns.Apply(probes.FromError(err))
	}
	return p.newConns.Apply(r.result())
}

func (p *Probe) check(ctx context.Context, r *report) error {
	depths, err := p.broker.depths(ctx, p.queues)
	if err != nil {
		return err
	}
	p.judgeQueues(r, depths)
	if !p.workers.wanted() {
		return nil
	}
	if err := p.callRoll(ctx, depths); err != nil {
		return err
	}
	p.judgeWorkers(r, depths)
	return nil
}

// Validate refuses settings that can't be meant. Its errors hold neither user nor password.
func (p *Probe) Validate() error { return p.err }

// Advise names what in the broker's URL, or in the application's client, makes calls hang or hides why they failed.
func (p *Probe) Advise() []string {
	if p.err != nil {
		return nil
	}
	return p.broker.advise()
}

// Close closes the probe's connection, within a second. Later checks are Error with client_closed.
func (p *Probe) Close() error {
	if p.err != nil {
		return nil
	}
	p.newConns.Close(time.Second)
	return p.broker.Close()
}
