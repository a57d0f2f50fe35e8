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

// Target is a broker, or a failover list of brokers of which one is used at a time.
type Target struct{ brokers []*broker }

// ParseURL parses a URL of amqp091-go or of Celery. For amqp091-go it is amqp:// or amqps:// with the query
// parameters of RabbitMQ's specification (https://www.rabbitmq.com/docs/uri-spec). For Celery it may also
// be pyamqp:// or librabbitmq://, with options such as ssl_cert_reqs. It may be Celery's failover list of
// whole URLs, separated by semicolons. Unknown options are errors. An error contains neither user nor
// password.
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

// inList returns err with the broker's place in a list of several.
func inList(i, several int, err error) error {
	if several == 1 {
		return err
	}
	return fmt.Errorf("broker %d of %d: %w", i+1, several, err)
}

// dial connects to the first broker that lets it, beginning with brokers[first], before ctx ends. The other
// brokers are not tried after one that refuses the login, as in Celery. A broker that sends nothing takes
// only its share of the time that ctx leaves.
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

// longestSilence is how long a broker of a list may be silent in a call without a deadline.
const longestSilence = 5 * time.Second

// silenceLimit returns how long to wait for the first byte of one of so many brokers that are left, 0
// without a limit.
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

// refusesLogin reports whether a broker has answered, and does not let the user in.
func refusesLogin(err error) bool {
	return slices.Contains([]probes.Reason{
		probes.ReasonAuthenticationFailed, probes.ReasonPermissionDenied, probes.ReasonNotFound,
		probes.ReasonTooManyConnections,
	}, reason.Of(err))
}

// withReasonOf returns the errors with the reason of err.
func withReasonOf(err error, errs []error) error {
	if len(errs) == 1 {
		return errs[0]
	}
	return probes.Fail(reason.Of(err), errors.Join(errs...))
}

// Try makes a new connection, logs in, and closes it, to find out whether that is still possible. It returns
// when ctx ends at the latest, or a second after the login. Its error has a reason if this package knows
// one.
func (t *Target) Try(ctx context.Context) error {
	session, err := t.dial(ctx, 0)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, session.socket.abort)()
	session.close()
	return nil
}

// Advise returns advice on the URLs.
func (t *Target) Advise() []string {
	var lines []string
	for _, b := range t.brokers {
		lines = append(lines, b.advise()...)
	}
	return slices.Compact(lines)
}
