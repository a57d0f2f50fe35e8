// Package celeryprobe checks Celery for an application that sends tasks. It checks whether the broker takes
// tasks, how many tasks wait, and whether workers can run them.
//
//	echohealth.WithCelery(celeryprobe.New("amqp://app:secret@rabbit:5672/"))
//	echohealth.WithCelery(celeryprobe.New("redis://redis:6379/0",
//		celeryprobe.Queues("mail"), celeryprobe.PingWorkers(2)))
//
// By default a check measures the queues (the detail pending_tasks), and on RabbitMQ also counts their
// consumers (the detail consumers). It writes nothing. PingWorkers, ExpectWorkers and RequireConsumers also
// ping the workers, by the protocol of "celery inspect", and add the detail workers.
//
// By default the check is an Error only if the broker can't be used, or if a queue of RabbitMQ exists but
// can't be used, such as one whose node is down. The check is a Warning if a queue is missing (not_found) or
// has no consumer (no_consumers), or if workers do not answer (no_workers, missing_workers), because a
// restart of the workers should not take the application out of service. Strict makes these Warnings Errors.
// If the broker refuses a ping, the check is always a Warning, with the reason of the refusal.
//
// RabbitMQ does not report the figures of a queue that can't be used, or that is exclusive to another
// connection. Such a queue counts only in the detail unknown_queues, and the other details omit it.
//
// A worker may fail to answer because it is not running, because it is busy in a solo pool, because its
// remote control is off, or because it does not accept JSON. If no worker answers, the reason is
// missing_workers if the broker knows a consumer or has passed the ping to a worker. Otherwise the reason is
// no_workers.
//
// docs/celery.md describes what each option proves and costs, which permissions it needs, and what it leaves
// on the broker.
package celeryprobe

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/echo-probes/echohealth/internal/amqpconn"
	"github.com/echo-probes/echohealth/internal/newconn"
	"github.com/echo-probes/echohealth/internal/redisconn"
	"github.com/echo-probes/echohealth/probes"
)

// A Probe checks Celery's queues and, with some options, its workers. Make it with New or Redis. Its methods
// may be called from any goroutine.
type Probe struct {
	settings
	broker   broker
	newConns *newconn.Tester
	err      error         // error of the arguments
	turn     chan struct{} // has a value while a check runs, because there is one at a time
	workers  workers       // guarded by turn
}

// broker is the common interface of RabbitMQ and Redis for Celery.
type broker interface {
	// depths measures the queues.
	depths(ctx context.Context, names []string) ([]depth, error)
	// call sends a command to all workers. It adds their answers to a until there are enough or answerTime is
	// over.
	call(ctx context.Context, method string, a *answers) error
	// lateAnswers passes to add the answers that arrived after the method call had returned.
	lateAnswers(ctx context.Context, add func(reply)) error
	// connect makes a new connection, logs in and closes it.
	connect(ctx context.Context) error
	// advise returns the lines of Advise.
	advise() []string
	// Close closes the connections and cancels a call in progress.
	Close() error
}

// failoverList is a broker that may have a failover list.
type failoverList interface {
	// place returns the position in the list of the broker that answered last, beginning with 1. It returns 0 if
	// there is no list.
	place() int
}

// depth is the state of a queue.
type depth struct {
	queue     string
	missing   bool  // the queue does not exist; always false with Redis, which removes empty queues
	refused   error // why a queue that exists can't be used; has a reason
	pending   int   // number of waiting tasks, or unknown
	consumers int   // number of consumers, or unknown
}

const unknown = -1

// New returns a probe of Celery's broker. brokerURL must be the URL of CELERY_BROKER_URL: amqp://, amqps://,
// pyamqp:// or librabbitmq:// for RabbitMQ, redis://, rediss://, redis+socket:// or sentinel:// for Redis.
// The probe connects at the first check and keeps one connection. Once a minute it makes a new connection to
// find out whether that is still possible, see NewConnectionEvery.
//
// brokerURL may also be a failover list of whole URLs, separated by semicolons. As in Celery, a host name
// after the first URL stands for that URL with another host, and the probe tries the brokers in order. The
// detail broker is then the position in the list of the broker that answered, beginning
// with 1. In a list of sentinel:// URLs each is a Sentinel, and MasterName sets the name of the master.
//
// The URL may have the query options of Celery: ssl_cert_reqs (CERT_REQUIRED by default), ssl_ca_certs,
// ssl_certfile, ssl_keyfile, ssl_check_hostname, connect_timeout, heartbeat and login_method. For RabbitMQ it
// may also have those of RabbitMQ's URI specification, and for Redis those of redis-py. Any other option is
// an error at construction of the health checks, because the probe would otherwise check another broker than
// Celery uses. The URL of any other transport of Celery is an error too.
func New(brokerURL string, opts ...Option) *Probe {
	p := newProbe(opts)
	p.err = errors.Join(p.err, p.open(brokerURL))
	return p
}

// Redis returns a probe of the Redis that the application's client is connected to, directly or through
// Sentinel. The probe makes its own connection with the client's settings, and never takes one of the
// application's. The client must be a *redis.Client, because Celery supports neither Redis Cluster nor a
// Ring. Its database number must be that of Celery. A nil client is an error at construction of the health
// checks.
func Redis(client redis.UniversalClient, opts ...Option) *Probe {
	p := newProbe(opts)
	single, ok := client.(*redis.Client)
	switch {
	case client == nil || ok && single == nil:
		p.err = errors.Join(p.err, errors.New("celeryprobe.Redis(nil): the client must not be nil"))
	case !ok:
		p.err = errors.Join(p.err, errors.New(
			"celeryprobe.Redis: the client must be a *redis.Client, because Celery needs one server"))
	case p.tls != nil:
		p.err = errors.Join(p.err, errors.New("celeryprobe.TLSConfig is for New: the client has its own"))
	case p.redis.master != "":
		p.err = errors.Join(p.err, errors.New("celeryprobe.MasterName is for New: the client has its own"))
	default:
		options := single.Options()
		p.useRedis([]redisServer{{conn: redisconn.New(options), db: options.DB}}, clientAdvice(options))
	}
	return p
}

func newProbe(opts []Option) *Probe {
	p := &Probe{settings: defaults(), turn: make(chan struct{}, 1)}
	for _, opt := range opts {
		p.err = errors.Join(p.err, opt(&p.settings))
	}
	p.err = errors.Join(p.err, p.ping.validate())
	return p
}

func (p *Probe) useAMQP(target *amqpconn.Target) {
	if p.err == nil {
		p.use(&amqpBroker{target: target, conn: amqpconn.New(target), exchange: p.ping.exchange})
	}
}

func (p *Probe) useRedis(servers []redisServer, advice []string) {
	if p.err == nil {
		p.use(newRedisBroker(&p.settings, servers, advice))
	}
}

func (p *Probe) use(b broker) {
	p.broker = b
	p.newConns = newconn.New(p.newConnections, b.connect)
}

// Check measures the queues and, with some options, pings the workers. It returns when ctx ends at the
// latest.
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
	r := report{strict: p.strict, zeroWorkers: p.zeroWorkers}
	if err := p.check(ctx, &r); err != nil {
		return p.newConns.Apply(ctx, probes.FromError(err))
	}
	if list, ok := p.broker.(failoverList); ok && list.place() > 0 {
		r.detail("broker", list.place())
	}
	return p.newConns.Apply(ctx, r.result())
}

func (p *Probe) check(ctx context.Context, r *report) error {
	depths, err := p.broker.depths(ctx, p.queues)
	if err != nil {
		return err
	}
	p.judgeQueues(r, depths)
	if !p.ping.enabled() {
		return nil
	}
	if err := p.pingIfDue(ctx, depths); err != nil {
		return err
	}
	p.judgeWorkers(r, depths)
	return nil
}

// Validate returns the errors of the arguments of New or Redis and of the options. They contain neither user
// nor password.
func (p *Probe) Validate() error { return p.err }

// Advise warns of settings in the broker's URL, or in the application's client, that make calls hang or hide
// why they failed.
func (p *Probe) Advise() []string {
	if p.err != nil {
		return nil
	}
	return p.broker.advise()
}

// Close closes the probe's connections, within a second each. It always returns nil. A later check is Error
// with ReasonClientClosed.
func (p *Probe) Close() error {
	if p.err != nil {
		return nil
	}
	p.newConns.Close(time.Second)
	return p.broker.Close()
}
