// Package amqpprobe checks RabbitMQ, and other brokers that speak AMQP 0-9-1. It has two probes, which answer two
// questions:
//
//   - New asks over a connection of its own whether the broker answers. It sees a broker that is frozen, unreachable or
//     refuses the login, at once.
//   - FromConn looks at the connection that the application publishes with: whether it is open, and whether the broker
//     blocks it. It sees a memory or disk alarm, which the first can't.
//
// An application that publishes wants both:
//
//	echohealth.WithAMQP(amqpprobe.New("amqp://app:secret@rabbit:5672/")),
//	echohealth.WithCheck("publisher", amqpprobe.FromConn(func() *amqp.Connection { return app.conn.Load() })),
//
// For the depth of Celery's queues there is celeryprobe.
package amqpprobe

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"github.com/echo-probes/echohealth/internal/amqpconn"
	"github.com/echo-probes/echohealth/internal/newconn"
	"github.com/echo-probes/echohealth/probes"
)

// Probe is what New returns.
type Probe struct {
	settings
	target   *amqpconn.Target
	conn     *amqpconn.Conn
	newConns *newconn.Tester
	err      error // why it can't be used
}

// Option is a setting of New's.
type Option func(*settings) error

type settings struct {
	tls            *tls.Config
	newConnections time.Duration // 0: never
}

// TLSConfig sets the TLS configuration for an amqps:// URL, in place of the URL's own TLS options; the two together are
// an error at construction, and so are nil and a URL without TLS. Without it the URL's options hold, and without those
// the broker's certificate is verified against the system's authorities. Repeating it replaces the former.
func TLSConfig(c *tls.Config) Option {
	return func(s *settings) error {
		if c == nil {
			return errors.New("amqpprobe.TLSConfig(nil): it must not be nil")
		}
		s.tls = c
		return nil
	}
}

// NewConnectionEvery sets how often, 10 % more or less, the probe makes a connection besides the kept one,
// logs in, and closes it: once a minute by default. Zero turns it off; otherwise d must be at least 1 ms and
// at most a year, or construction fails. The last use wins.
func NewConnectionEvery(d time.Duration) Option {
	return func(s *settings) error {
		s.newConnections = d
		return newconn.Validate("amqpprobe.NewConnectionEvery", d)
	}
}

// New returns a probe that keeps one connection to the broker at url, makes it at the first check and again after it
// was lost, and asks at each check for the exchange amq.direct, which every vhost has: one round trip, for which the
// user needs access to the vhost and no permission in it. It declares, publishes and consumes nothing.
//
// The URL is amqp:// or amqps:// as in RabbitMQ's URI specification, with its query parameters (cacertfile, certfile,
// keyfile, server_name_indication, verify, heartbeat, connection_timeout, channel_max, auth_mechanism), or as Celery
// writes it (pyamqp://, ssl_cert_reqs, ssl_ca_certs, ssl_certfile, ssl_keyfile, connect_timeout, login_method). Anything
// else in it is an error at construction, and so are several brokers separated by semicolons. Heartbeats are every 10 s
// unless it says otherwise.
//
// The check is Error with the reason of what went wrong, such as connection_refused, authentication_failed, not_found (the
// vhost), permission_denied (to the vhost) or timeout. RabbitMQ takes 3 s to refuse a login, so that wrong credentials
// show as timeout first, where the check's timeout is shorter, and as authentication_failed when the answer has come.
//
// A kept connection answers as before when the password was rotated, a permission taken away, a certificate
// has expired, or a limit of connections is reached. Therefore the probe also makes a new connection once a
// minute, see NewConnectionEvery. While that fails and the kept one answers, the check is a Warning with the
// failure's reason.
//
// A memory or disk alarm does not show: the broker goes on to answer connections that do not publish. FromConn tells.
func New(url string, opts ...Option) *Probe {
	p := &Probe{settings: settings{newConnections: newconn.Default}}
	errs := make([]error, 0, len(opts)+1)
	for _, opt := range opts {
		errs = append(errs, opt(&p.settings))
	}
	target, err := amqpconn.ParseURL(url, p.tls)
	p.target, p.err = target, errors.Join(append(errs, err)...)
	if p.err == nil {
		p.conn = amqpconn.New(target)
		p.newConns = newconn.New(p.newConnections, target.Try)
	}
	return p
}

// Check asks the broker. It returns when ctx ends at the latest.
func (p *Probe) Check(ctx context.Context) probes.Result {
	if p.err != nil {
		return probes.FromError(probes.Fail(probes.ReasonMisconfigured, p.err))
	}
	return p.newConns.Apply(probes.FromError(p.conn.Do(ctx, ask)))
}

func ask(_ context.Context, s *amqpconn.Session) error {
	ch, err := s.Channel()
	if err != nil {
		return err
	}
	return ch.ExchangeDeclarePassive("amq.direct", "direct", true, false, false, false, nil)
}

// Validate refuses a URL that can't be read, and options that can't be meant. Its error holds neither user
// nor password.
func (p *Probe) Validate() error { return p.err }

// Advise warns of heartbeat=0 in the URL, which is not what it seems to be.
func (p *Probe) Advise() []string {
	if p.err != nil {
		return nil
	}
	return p.target.Advise()
}

// Close closes the connection, within a second. Later checks are Error with client_closed.
func (p *Probe) Close() error {
	if p.err != nil {
		return nil
	}
	p.newConns.Close(time.Second)
	return p.conn.Close()
}
