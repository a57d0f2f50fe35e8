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

// An Option configures a Probe. An invalid argument is an error at construction of the health checks.
type Option func(*settings) error

type settings struct {
	tls               *tls.Config
	queues            []string
	warning, critical int
	strict            bool
	zeroWorkers       bool
	newConnections    time.Duration // 0: never

	redis redisNames
	ping  pingSettings
}

// pingSettings are the settings of the pings to the workers.
type pingSettings struct {
	min       int      // 0: no minimum
	expected  []string // names of workers that must answer
	consumers bool     // RequireConsumers was used
	every     time.Duration
	exchange  string
	set       []string // names of the given options that need a ping
}

// redisNames are the settings of Celery's Redis transport.
type redisNames struct {
	prefix    string // of every key and channel
	separator string
	steps     []int
	fanout    string
	set       []string // names of the given options for Redis
	master    string   // the master's name in Sentinel
}

func defaults() settings {
	return settings{
		queues:   []string{"celery"},
		warning:  math.MaxInt,
		critical: math.MaxInt,
		ping:     pingSettings{every: 15 * time.Second, exchange: "celery"},
		redis:    redisNames{separator: "\x06\x16", steps: []int{0, 3, 6, 9}, fanout: "/{db}."},

		newConnections: newconn.Default,
	}
}

// Queues sets the names of the queues to check. The default is "celery". A name must have 1 to 255 bytes. No
// name, an invalid name and a repeated name are errors. The last use wins.
func Queues(names ...string) Option {
	return func(s *settings) error {
		if len(names) == 0 {
			return errors.New("celeryprobe.Queues(): there must be at least one name")
		}
		s.queues = slices.Clone(names)
		return checkNames("celeryprobe.Queues", names)
	}
}

// PendingThreshold sets how many tasks may wait in all queues together. If more tasks than warning wait, the
// check is a Warning with the reason backlog. If more tasks than critical wait, it is an Error. Both must be
// at least 0, and warning must not exceed critical. The value echohealth.Never turns a level off. The default
// is (Never, Never). The last use wins.
//
// A task that a worker has fetched no longer waits. With Celery's defaults a worker fetches four tasks for
// each of its processes.
func PendingThreshold(warning, critical int) Option {
	return func(s *settings) error {
		call := fmt.Sprintf("celeryprobe.PendingThreshold(%s, %s)", threshold(warning), threshold(critical))
		if warning < 0 || critical < 0 {
			return fmt.Errorf("%s: a threshold must be at least 0, or echohealth.Never", call)
		}
		if warning > critical && warning != never {
			return fmt.Errorf("%s: warning must not exceed critical", call)
		}
		s.warning, s.critical = limit(warning), limit(critical)
		return nil
	}
}

// never is echohealth.Never, which probes do not import.
const never = 1<<31 - 1

// limit returns a threshold as a number of tasks. It replaces never by math.MaxInt, because more tasks than
// never may wait.
func limit(threshold int) int {
	if threshold == never {
		return math.MaxInt
	}
	return threshold
}

// threshold formats a threshold for the text of an error.
func threshold(n int) string {
	if n == never {
		return "Never"
	}
	return strconv.Itoa(n)
}

// Strict turns the Warnings about queues and workers into Errors. They are about a queue that does not exist
// or has no consumer, and about workers that do not answer. Use Strict for a check that readiness does not
// depend on. Otherwise a restart of the workers takes the application out of service.
func Strict() Option {
	return func(s *settings) error { s.strict = true; return nil }
}

// AllowZeroWorkers allows an empty queue to have no consumer. If all queues are empty, it also allows that
// there is no worker. The check is then OK. Use the option if an autoscaler such as KEDA starts workers only
// when tasks wait. A queue with tasks and no consumer still has the reason no_consumers, or no_workers if a
// ping finds no worker at all.
func AllowZeroWorkers() Option {
	return func(s *settings) error { s.zeroWorkers = true; return nil }
}

// TLSConfig sets the TLS configuration for an amqps:// or rediss:// URL. The URL must then have no TLS
// options. Without TLSConfig the URL's options apply, and the broker's certificate is verified against the
// system's authorities. A nil configuration, a URL without TLS, and a probe made with Redis are errors. The
// last use wins.
func TLSConfig(c *tls.Config) Option {
	return func(s *settings) error {
		if c == nil {
			return errors.New("celeryprobe.TLSConfig(nil): the configuration must not be nil")
		}
		s.tls = c
		return nil
	}
}

// NewConnectionEvery sets how often the probe makes a new connection to the broker, logs in and closes it:
// once per d, 10 % more or less. The default is one minute. Zero turns it off. A kept connection still
// answers after a password change, after a certificate has expired, or when a connection limit is reached. If
// no new connection can be made and the check is otherwise OK, the check is a Warning with the reason of the
// failure, such as authentication_failed. A negative duration, a positive one under 1 ms, and one over a year
// are errors. The last use wins.
func NewConnectionEvery(d time.Duration) Option {
	return func(s *settings) error {
		s.newConnections = d
		return newconn.Validate("celeryprobe.NewConnectionEvery", d)
	}
}

// PingWorkers pings the workers by Celery's remote control. If fewer than min workers answer, the check is a
// Warning with the reason no_workers or missing_workers. min must be at least 1. The detail workers is the
// number of workers that answered. By default the check does not ping the workers. The last use wins.
func PingWorkers(min int) Option {
	return func(s *settings) error {
		if min < 1 {
			return fmt.Errorf("celeryprobe.PingWorkers(%d): the number must be at least 1", min)
		}
		s.ping.min = min
		return nil
	}
}

// ExpectWorkers pings the workers as PingWorkers does. If one of the named workers, such as "celery@host",
// does not answer, the check is a Warning with the reason missing_workers. The detail missing_workers is the
// number of the named workers that did not answer. Their names are only in the log. A name must have 1 to 255
// bytes. No name, an invalid name and a repeated name are errors. The last use wins.
func ExpectWorkers(names ...string) Option {
	return func(s *settings) error {
		if len(names) == 0 {
			return errors.New("celeryprobe.ExpectWorkers(): there must be at least one name")
		}
		s.ping.expected = slices.Clone(names)
		return checkNames("celeryprobe.ExpectWorkers", names)
	}
}

// RequireConsumers pings the workers as PingWorkers does, and also asks which queues they consume. If no
// worker that answers consumes one of the queues, the check is a Warning. Its reason is missing_workers if a
// worker that does not answer may consume that queue, and otherwise no_consumers. Without this option the
// check is OK even if no worker that answers consumes the queues.
func RequireConsumers() Option {
	return func(s *settings) error { s.ping.consumers = true; return nil }
}

// PingEvery sets the minimum time between two pings. The default is 15 s, and the minimum 1 s. A ping reaches
// all workers of the broker, and every process with such a check sends pings. Between pings the check uses
// the last answers. If pings fail, the check uses these answers for three times as long, and then is a
// Warning with the reason stale. The option is an error without PingWorkers, ExpectWorkers or
// RequireConsumers. The last use wins.
func PingEvery(d time.Duration) Option {
	return func(s *settings) error {
		if d < time.Second {
			return fmt.Errorf("celeryprobe.PingEvery(%s): the duration must be at least 1s", d)
		}
		s.ping.every = d
		s.ping.given("PingEvery")
		return nil
	}
}

// ControlExchange sets Celery's control_exchange, through which a ping reaches the workers. The default is
// "celery". If several applications share a vhost or a database, a ping reaches the workers of all of them,
// unless each application has its own exchange. The name must have 1 to 255 bytes. The option is an error
// without PingWorkers, ExpectWorkers or RequireConsumers. The last use wins.
func ControlExchange(name string) Option {
	return func(s *settings) error {
		s.ping.exchange = name
		s.ping.given("ControlExchange")
		return checkNames("celeryprobe.ControlExchange", []string{name})
	}
}

func (s *pingSettings) given(option string) { s.set = append(s.set, option) }

// enabled reports whether the check pings the workers.
func (s *pingSettings) enabled() bool { return s.min > 0 || len(s.expected) > 0 || s.consumers }

func (s *pingSettings) method() string {
	if s.consumers {
		return methodActiveQueues
	}
	return methodPing
}

// validate returns an error if an option has no effect because the check does not ping.
func (s *pingSettings) validate() error {
	if s.enabled() || len(s.set) == 0 {
		return nil
	}
	return fmt.Errorf("celeryprobe.%s needs PingWorkers, ExpectWorkers or RequireConsumers", s.set[0])
}

// MasterName is the value of Celery's master_name in broker_transport_options, the master's name in Sentinel.
// It is required for a sentinel:// URL that does not have the option ?master_name=. It is an error for any
// other URL. The name must not be empty. The last use wins.
func MasterName(name string) Option {
	return func(s *settings) error {
		if name == "" {
			return errors.New("celeryprobe.MasterName(\"\"): the name must not be empty")
		}
		s.redis.master = name
		return nil
	}
}

// GlobalKeyPrefix sets Celery's global_keyprefix of broker_transport_options. The Redis transport puts this
// prefix before every key. The default is no prefix. The option is an error with RabbitMQ. The last use wins.
func GlobalKeyPrefix(prefix string) Option {
	return func(s *settings) error {
		s.redis.prefix = prefix
		s.redis.given("GlobalKeyPrefix")
		return nil
	}
}

// Separator is the value of Celery's sep in broker_transport_options. The Redis transport puts this separator
// between a queue's name and a priority. The default is the two bytes 0x06 0x16. The separator must not be
// empty. The option is an error with RabbitMQ. The last use wins.
func Separator(sep string) Option {
	return func(s *settings) error {
		if sep == "" {
			return errors.New("celeryprobe.Separator(\"\"): the separator must not be empty")
		}
		s.redis.separator = sep
		s.redis.given("Separator")
		return nil
	}
}

// PrioritySteps sets Celery's priority_steps of broker_transport_options. The Redis transport keeps each
// queue as one list for each step. The default is 0, 3, 6, 9. The steps must be in ascending order, from 0.
// The check does not count tasks in other steps. The option is an error without a step, and with RabbitMQ.
// The last use wins.
func PrioritySteps(steps ...int) Option {
	return func(s *settings) error {
		if len(steps) == 0 {
			return errors.New("celeryprobe.PrioritySteps(): there must be at least one step")
		}
		for i, step := range steps {
			if step < 0 || i > 0 && step <= steps[i-1] {
				return fmt.Errorf("celeryprobe.PrioritySteps(%v): the steps must be in ascending order, from 0", steps)
			}
		}
		s.redis.steps = slices.Clone(steps)
		s.redis.given("PrioritySteps")
		return nil
	}
}

// FanoutPrefix sets Celery's fanout_prefix of broker_transport_options. The Redis transport puts this prefix
// before the channels to which it publishes. The default is "/{db}.", in which {db} stands for the number of
// the database. Use "" if Celery's setting is False. Any other prefix must begin with a slash and have its
// only dot at the end, because Celery's workers cannot read other prefixes. The option is an error with
// RabbitMQ, and without PingWorkers, ExpectWorkers or RequireConsumers. The last use wins.
func FanoutPrefix(prefix string) Option {
	return func(s *settings) error {
		if prefix != "" && (prefix[0] != '/' || strings.IndexByte(prefix, '.') != len(prefix)-1) {
			return fmt.Errorf("celeryprobe.FanoutPrefix(%q): the prefix must begin with a slash "+
				"and have its only dot at the end, or be empty", prefix)
		}
		s.redis.fanout = prefix
		s.redis.given("FanoutPrefix")
		s.ping.given("FanoutPrefix")
		return nil
	}
}

func (n *redisNames) given(option string) { n.set = append(n.set, option) }

// validate returns an error if the broker is RabbitMQ and an option for Redis was given.
func (n *redisNames) validate() error {
	if len(n.set) == 0 {
		return nil
	}
	return fmt.Errorf("celeryprobe.%s is for Redis, not for RabbitMQ", n.set[0])
}

func checkNames(option string, names []string) error {
	for i, name := range names {
		if name == "" || len(name) > 255 {
			return fmt.Errorf("%s: %q: a name must have 1 to 255 bytes", option, name)
		}
		if slices.Contains(names[:i], name) {
			return fmt.Errorf("%s: %q is given twice", option, name)
		}
	}
	return nil
}
