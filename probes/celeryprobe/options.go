package celeryprobe

import (
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/echo-probes/echohealth/internal/newconn"
)

// An Option changes what New or Redis makes. One that can't be meant is an error at construction.
type Option func(*settings) error

type settings struct {
	tls               *tls.Config
	queues            []string
	warning, critical int
	strict            bool
	newConnections    time.Duration // 0: never

	redis   redisNames
	workers workerSettings
}

// workerSettings are what the workers are asked, and how.
type workerSettings struct {
	min       int      // 0: not asked for
	expected  []string // by name
	consumers bool     // every queue needs one that answers
	every     time.Duration
	exchange  string
	set       []string // the options that say how to ask
}

// redisNames are the settings of Celery's Redis transport.
type redisNames struct {
	prefix    string // before every key and channel
	separator string
	steps     []int
	fanout    string
	set       []string // the options that were given
}

func defaults() settings {
	return settings{
		queues:   []string{"celery"},
		warning:  math.MaxInt,
		critical: math.MaxInt,
		workers:  workerSettings{every: 15 * time.Second, exchange: "celery"},
		redis:    redisNames{separator: "\x06\x16", steps: []int{0, 3, 6, 9}, fanout: "/{db}."},

		newConnections: newconn.Default,
	}
}

// Queues names the queues to check, "celery" by default. Repeating it replaces the former. No name, an empty one, and the
// same one twice are errors.
func Queues(names ...string) Option {
	return func(s *settings) error {
		if len(names) == 0 {
			return errors.New("celeryprobe.Queues(): at least one name is required")
		}
		s.queues = slices.Clone(names)
		return checkNames("celeryprobe.Queues", names)
	}
}

// PendingThreshold makes the check a Warning with the reason backlog when more than warning tasks wait in all the queues
// together, and an Error when more than critical do. Both are 0 or more, or echohealth.Never, which leaves one of them out;
// warning must not exceed critical. The default is (Never, Never). Repeating it replaces the former.
//
// A task that a worker has fetched does not wait any more: with Celery's defaults a worker holds four for each of its
// processes.
func PendingThreshold(warning, critical int) Option {
	return func(s *settings) error {
		call := fmt.Sprintf("celeryprobe.PendingThreshold(%s, %s)", threshold(warning), threshold(critical))
		if warning < 0 || critical < 0 {
			return fmt.Errorf("%s: a threshold is 0 or more, or Never", call)
		}
		if warning > critical && warning != never {
			return fmt.Errorf("%s: warning must not exceed critical", call)
		}
		s.warning, s.critical = limit(warning), limit(critical)
		return nil
	}
}

// never is echohealth.Never, which is in a package that probes do not import.
const never = 1<<31 - 1

// limit is a threshold as a number of tasks: there may be more than never.
func limit(threshold int) int {
	if threshold == never {
		return math.MaxInt
	}
	return threshold
}

// threshold writes one as the user did.
func threshold(n int) string {
	if n == never {
		return "Never"
	}
	return strconv.Itoa(n)
}

// Strict makes an Error of what is a Warning by default: a queue that does not exist or is not consumed, and workers that
// do not answer. It is for a check that readiness does not depend on, or where it should: a restart of the workers then
// takes the application out of service.
func Strict() Option {
	return func(s *settings) error { s.strict = true; return nil }
}

// TLSConfig is the TLS configuration for an amqps:// or rediss:// URL, in place of the URL's own options, which must then
// have none. By default the broker's certificate is verified against the system's authorities. Repeating it replaces the
// former. It is an error for a URL without TLS, for Redis, and with nil.
func TLSConfig(c *tls.Config) Option {
	return func(s *settings) error {
		if c == nil {
			return errors.New("celeryprobe.TLSConfig(nil): it must not be nil")
		}
		s.tls = c
		return nil
	}
}

// NewConnectionEvery sets how often, 10 % more or less, the probe makes a connection to the broker besides
// the kept one, logs in, and closes it: once a minute by default. A kept connection answers as before when
// the password was rotated, a certificate has expired, or a limit of connections is reached. While a new one
// can't be made and the check is otherwise OK, it is a Warning with the failure's reason, such as
// authentication_failed. Zero turns it off; otherwise d must be at least 1 ms and at most a year, or
// construction fails. The last use wins.
func NewConnectionEvery(d time.Duration) Option {
	return func(s *settings) error {
		s.newConnections = d
		return newconn.Validate("celeryprobe.NewConnectionEvery", d)
	}
}

// PingWorkers asks the workers whether they are there, by Celery's remote control, and makes the check a Warning
// with the reason no_workers or missing_workers when fewer than min answer. It needs 1 or more. The number of those that did
// is the detail workers. Repeating it replaces the former.
func PingWorkers(min int) Option {
	return func(s *settings) error {
		if min < 1 {
			return fmt.Errorf("celeryprobe.PingWorkers(%d): at least 1 is required", min)
		}
		s.workers.min = min
		return nil
	}
}

// ExpectWorkers asks the workers as PingWorkers does, and makes the check a Warning with the reason missing_workers when
// one of these, such as "celery@host", does not answer. How many do not is the detail missing_workers; their names are in
// the log. Repeating it replaces the former. No name, an empty one, and the same one twice are errors.
func ExpectWorkers(names ...string) Option {
	return func(s *settings) error {
		if len(names) == 0 {
			return errors.New("celeryprobe.ExpectWorkers(): at least one name is required")
		}
		s.workers.expected = slices.Clone(names)
		return checkNames("celeryprobe.ExpectWorkers", names)
	}
}

// RequireConsumers asks the workers as PingWorkers does, and which queues they consume, and makes the check a Warning
// when there is a queue that no worker consumes that answers: with the reason no_consumers if it is consumed by nobody,
// or missing_workers if it may be by one that does not answer. A worker may answer and consume nothing.
func RequireConsumers() Option {
	return func(s *settings) error { s.workers.consumers = true; return nil }
}

// PingEvery sets how often at most the workers are asked: every 15 s by default, at least 1 s. A ping reaches every worker
// of the broker's, from every process that has such a check. In between the last answers serve, and for three times as long
// where a ping can't be seen through; then the check is a Warning with the reason stale. Repeating it replaces the former.
// It is an error without PingWorkers, ExpectWorkers or RequireConsumers.
func PingEvery(d time.Duration) Option {
	return func(s *settings) error {
		if d < time.Second {
			return fmt.Errorf("celeryprobe.PingEvery(%s): at least 1s is required", d)
		}
		s.workers.every = d
		s.workers.given("PingEvery")
		return nil
	}
}

// ControlExchange is Celery's control_exchange, "celery" by default. Workers of several applications on one vhost, or one
// database, all answer unless these have exchanges of their own. It must not be empty. Repeating it replaces the former. It
// is an error without PingWorkers, ExpectWorkers or RequireConsumers.
func ControlExchange(name string) Option {
	return func(s *settings) error {
		s.workers.exchange = name
		s.workers.given("ControlExchange")
		return checkNames("celeryprobe.ControlExchange", []string{name})
	}
}

func (w *workerSettings) given(option string) { w.set = append(w.set, option) }

// wanted reports whether the workers are to be asked.
func (w *workerSettings) wanted() bool { return w.min > 0 || len(w.expected) > 0 || w.consumers }

func (w *workerSettings) method() string {
	if w.consumers {
		return activeQueues
	}
	return ping
}

// refuse returns an error if an option has no meaning because the workers are not asked.
func (w *workerSettings) refuse() error {
	if w.wanted() || len(w.set) == 0 {
		return nil
	}
	return fmt.Errorf("celeryprobe.%s needs PingWorkers, ExpectWorkers or RequireConsumers", w.set[0])
}

// GlobalKeyPrefix is Celery's global_keyprefix of broker_transport_options, which the Redis transport puts before every
// key. None by default. Repeating it replaces the former. It is an error with RabbitMQ.
func GlobalKeyPrefix(prefix string) Option {
	return func(s *settings) error {
		s.redis.prefix = prefix
		s.redis.given("GlobalKeyPrefix")
		return nil
	}
}

// Separator is Celery's sep of broker_transport_options, which the Redis transport puts between a queue's name and a
// priority: the two bytes 0x06 0x16 by default. It must not be empty. Repeating it replaces the former. It is an error with
// RabbitMQ.
func Separator(sep string) Option {
	return func(s *settings) error {
		if sep == "" {
			return errors.New("celeryprobe.Separator: it must not be empty")
		}
		s.redis.separator = sep
		s.redis.given("Separator")
		return nil
	}
}

// PrioritySteps is Celery's priority_steps of broker_transport_options: the Redis transport keeps each queue as one list
// for each step. 0, 3, 6, 9 by default. The steps must rise, and none be negative. Repeating it replaces the former. It is
// an error with RabbitMQ. Tasks in steps that are not named here are not counted.
func PrioritySteps(steps ...int) Option {
	return func(s *settings) error {
		if len(steps) == 0 {
			return errors.New("celeryprobe.PrioritySteps(): at least one step is required")
		}
		for i, step := range steps {
			if step < 0 || i > 0 && step <= steps[i-1] {
				return fmt.Errorf("celeryprobe.PrioritySteps(%v): the steps must rise, and none be negative", steps)
			}
		}
		s.redis.steps = slices.Clone(steps)
		s.redis.given("PrioritySteps")
		return nil
	}
}

// FanoutPrefix is Celery's fanout_prefix of broker_transport_options, which the Redis transport puts before the channels
// that it publishes on: "/{db}." by default, with the number of the database for {db}; "" where Celery's is False. Any other
// has to begin with a slash and have its only dot at the end, since Celery's workers can't read other ones. Repeating it
// replaces the former. It is an error with RabbitMQ, and without PingWorkers, ExpectWorkers or RequireConsumers.
func FanoutPrefix(prefix string) Option {
	return func(s *settings) error {
		if prefix != "" && (prefix[0] != '/' || strings.IndexByte(prefix, '.') != len(prefix)-1) {
			return fmt.Errorf("celeryprobe.FanoutPrefix(%q): it begins with a slash and has its only dot at the end, or is empty", prefix)
		}
		s.redis.fanout = prefix
		s.redis.given("FanoutPrefix")
		s.workers.given("FanoutPrefix")
		return nil
	}
}

func (n *redisNames) given(option string) { n.set = append(n.set, option) }

// refuse returns an error if an option was given that has no meaning with RabbitMQ.
func (n *redisNames) refuse() error {
	if len(n.set) == 0 {
		return nil
	}
	return fmt.Errorf("celeryprobe.%s is for Redis, not for RabbitMQ", n.set[0])
}

func checkNames(option string, names []string) error {
	for i, name := range names {
		if name == "" || len(name) > 255 {
			return fmt.Errorf("%s: %q: a name has 1 to 255 bytes", option, name)
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("%s: %q is given twice", option, name)
		}
	}
	return nil
}
