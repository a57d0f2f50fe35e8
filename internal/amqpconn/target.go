package amqpconn

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/probes"
)

// Target is a broker, or a failover list of brokers. A connection uses one of them at a time.
type Target struct{ brokers []*broker }

// ParseURL parses a broker URL of one of two kinds. The first is amqp:// or amqps:// with the query
// parameters of RabbitMQ's specification (https://www.rabbitmq.com/docs/uri-spec). The second is a URL of
// Celery, whose scheme can also be pyamqp:// or librabbitmq://, with options such as ssl_cert_reqs. A
// failover list, see SplitURLs, is allowed too. Unknown options are errors. An error contains neither user
// nor password.
func ParseURL(raw string, custom *tls.Config) (*Target, error) {
	urls := SplitURLs(raw)
	t := &Target{}
	for i, single := range urls {
		broker, err := parseBroker(single, custom)
		if err != nil {
			return nil, InvalidURL(raw, inList(i, len(urls), err))
		}
		t.brokers = append(t.brokers, broker)
	}
	return t, nil
}

func parseBroker(raw string, custom *tls.Config) (*broker, error) {
	u, query, err := parse(raw, []string{"amqp", "amqps", "pyamqp", "librabbitmq"})
	if err != nil {
		return nil, err
	}
	return newBroker(u, query, custom)
}

// inList adds the position of the broker to err, if the list has several brokers.
func inList(i, several int, err error) error {
	if several == 1 {
		return err
	}
	return fmt.Errorf("broker %d of %d: %w", i+1, several, err)
}

// dial tries the brokers in order, beginning with brokers[first], until one accepts the connection or ctx
// ends. If a broker refuses the login, dial does not try the remaining brokers, as in Celery. Each broker
// that sends nothing gets only its share of the time until ctx ends.
func (t *Target) dial(ctx context.Context, first int) (*Session, error) {
	n := len(t.brokers)
	var errs []error
	for tried := range n {
		i := (first + tried) % n
		session, err := t.brokers[i].dial(ctx, silenceLimit(ctx, n-tried))
		if err == nil {
			session.broker, session.brokers = i, n
			return session, nil
		}
		errs = append(errs, inList(i, n, err))
		if ctx.Err() != nil || refusesLogin(err) {
			return nil, withReasonOf(err, errs)
		}
	}
	return nil, withReasonOf(errs[0], errs)
}

// longestSilence limits the wait for a broker's first byte if the list has several brokers and the call has
// no deadline.
const longestSilence = 5 * time.Second

// silenceLimit returns how long to wait for a broker's first byte if this number of brokers remains to be
// tried. 0 means no limit.
func silenceLimit(ctx context.Context, brokers int) time.Duration {
	if brokers == 1 {
		return 0
	}
	deadline, ok := ctx.Deadline()
	if !ok {
		return longestSilence
	}
	return max(time.Until(deadline)/time.Duration(brokers), 1)
}

// refusesLogin reports whether a broker has answered and refused the login.
func refusesLogin(err error) bool {
	return slices.Contains([]probes.Reason{
		probes.ReasonAuthenticationFailed, probes.ReasonPermissionDenied, probes.ReasonNotFound,
		probes.ReasonTooManyConnections,
	}, reason.Of(err))
}

// withReasonOf joins errs into one error that has the reason of err.
func withReasonOf(err error, errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return probes.Fail(reason.Of(err), errors.Join(errs...))
}

// Try makes a new connection, logs in, and closes the connection. It returns an error if one of these is not
// possible. It returns when ctx ends, or a second after the login, if not earlier. The error has a reason if
// this package knows one.
func (t *Target) Try(ctx context.Context) error {
	session, err := t.dial(ctx, 0)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, session.socket.abort)()
	session.close()
	return nil
}

// Advise returns advice on the brokers' URLs, each line once.
func (t *Target) Advise() []string {
	var lines []string
	for _, b := range t.brokers {
		lines = append(lines, b.advise()...)
	}
	return slices.Compact(lines)
}
