// Package amqpprobe checks RabbitMQ and other brokers with AMQP 0-9-1. It has two probes:
//
//   - New checks over its own connection whether the broker answers. It immediately detects a broker that is
//     frozen, is unreachable or refuses the login.
//   - FromConn checks the connection over which the application publishes. It checks whether the connection
//     is open, and whether the broker blocks it. It detects a memory or disk alarm, which New does not.
//
// An application that publishes should use both:
//
//	echohealth.WithAMQP(amqpprobe.New("amqp://app:secret@rabbit:5672/")),
//	echohealth.WithCheck("publisher", amqpprobe.FromConn(func() *amqp.Connection { return app.conn.Load() })),
//
// To check the length of Celery's queues use celeryprobe.
package amqpprobe

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"time"

	"github.com/echo-probes/echohealth/internal/amqpconn"
	"github.com/echo-probes/echohealth/internal/newconn"
	"github.com/echo-probes/echohealth/probes"
)

// A Probe checks a broker over its own connection. Make it with New. Its methods may be called from any
// goroutine.
type Probe struct {
	settings
	target   *amqpconn.Target
	conn     *amqpconn.Conn
	newConns *newconn.Tester
	err      error // error of the arguments
}

// An Option configures a Probe. An invalid argument is an error at construction of the health checks.
type Option func(*settings) error

type settings struct {
	tls            *tls.Config
	newConnections time.Duration // 0: never
}

// TLSConfig sets the TLS configuration for an amqps:// URL. The URL must then have no TLS options. Without
// TLSConfig the URL's options apply, and the broker's certificate is verified against the system's
// authorities. A nil configuration and a URL without TLS are errors. The last use wins.
func TLSConfig(c *tls.Config) Option {
	return func(s *settings) error {
		if c == nil {
			return errors.New("amqpprobe.TLSConfig(nil): the configuration must not be nil")
		}
		s.tls = c
		return nil
	}
}

// NewConnectionEvery sets how often the probe makes a new connection, logs in and closes it: once per d,
// 10 % more or less. The default is one minute. Zero turns it off. A negative duration, a positive one under
// 1 ms, and one over a year are errors. The last use wins.
func NewConnectionEvery(d time.Duration) Option {
	return func(s *settings) error {
		s.newConnections = d
		return newconn.Validate("amqpprobe.NewConnectionEvery", d)
	}
}

// New returns a probe that keeps one connection to the broker at url. It connects at the first check, and
// again after the connection was lost. Each check looks up the exchange amq.direct, which every vhost has.
// That costs one round trip. The user needs access to the vhost, but no permission in it. The probe declares,
// publishes and consumes nothing.
//
// The URL must be amqp:// or amqps:// as in RabbitMQ's URI specification, with its query parameters
// (cacertfile, certfile, keyfile, server_name_indication, verify, heartbeat, connection_timeout, channel_max,
// auth_mechanism), or a URL of Celery (pyamqp://, ssl_cert_reqs, ssl_ca_certs, ssl_certfile, ssl_keyfile,
// connect_timeout, login_method). Any other option is an error at construction of the health checks. The
// default heartbeat is 10 s.
//
// For a cluster, url may be a list separated by semicolons, like Celery's failover list: of whole URLs, or of
// host names after a URL, as in "amqp://app:secret@a/orders;b". The
// probe tries the brokers in order. It tries the next broker if one can't be reached, does not answer or
// shuts down, but not if one refuses the login. The brokers share the time of the check, so that a broker
// without an answer leaves time for the next. The kept connection stays on the broker that answered. The
// detail broker is the position of that broker in the list, beginning with 1.
//
// A failed check is an Error with the reason of the failure, such as connection_refused,
// authentication_failed, not_found (no such vhost), permission_denied (no access to the vhost) or timeout.
// RabbitMQ takes 3 s to refuse a login. With a shorter check timeout, a check with wrong credentials is a
// timeout at first, and authentication_failed after the refusal has arrived.
//
// A kept connection still answers after a password change, after a permission was revoked, after a
// certificate has expired, or when a connection limit is reached. So the probe also makes a new connection
// once a minute, see NewConnectionEvery. If that fails and the kept connection answers, the check is a
// Warning with the reason of the failure.
//
// The check does not detect a memory or disk alarm, because the broker still answers connections that do not
// publish. FromConn detects such an alarm.
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

// Check looks up the exchange. It returns when ctx ends at the latest.
func (p *Probe) Check(ctx context.Context) probes.Result {
	if p.err != nil {
		return probes.FromError(probes.Fail(probes.ReasonMisconfigured, p.err))
	}
	place := 0
	err := p.conn.Do(ctx, func(_ context.Context, s *amqpconn.Session) error {
		place = s.Broker()
		return ask(s)
	})
	result := probes.FromError(err)
	if err == nil && place > 0 {
		result.Details = []slog.Attr{slog.Int("broker", place)}
	}
	return p.newConns.Apply(ctx, result)
}

// ask makes a round trip to the broker. A refusal because of a missing permission is not an error, because it
// is an answer too. RabbitMQ requires some permission on the exchange since 4.2.7 and 4.3.1.
func ask(s *amqpconn.Session) error {
	ch, err := s.Channel()
	if err != nil {
		return err
	}
	err = ch.ExchangeDeclarePassive("amq.direct", "direct", true, false, false, false, nil)
	if amqpconn.IsForbidden(err) {
		return nil
	}
	return err
}

// Validate returns the errors of the URL and of the options. They contain neither user nor password.
func (p *Probe) Validate() error { return p.err }

// Advise warns of heartbeat=0 in the URL, which does not turn heartbeats off.
func (p *Probe) Advise() []string {
	if p.err != nil {
		return nil
	}
	return p.target.Advise()
}

// Close closes the probe's connections, within a second each. It always returns nil. A later check is Error
// with ReasonClientClosed.
func (p *Probe) Close() error {
	if p.err != nil {
		return nil
	}
	p.newConns.Close(time.Second)
	return p.conn.Close()
}
