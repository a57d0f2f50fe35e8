package celeryprobe

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/echo-probes/echohealth/internal/amqpconn"
)

// open makes the broker for raw, which is a URL or a failover list of URLs. It reads them as Celery does.
func (p *Probe) open(raw string) error {
	urls := amqpconn.SplitURLs(raw)
	transport := transportOf(urls[0])
	if transport != "sentinel" && p.redis.master != "" {
		return errors.New("celeryprobe.MasterName is for a sentinel:// URL")
	}
	if err := sameTransport(raw, transport, urls); err != nil {
		return err
	}
	switch transport {
	case "redis":
		return p.openRedis(urls)
	case "sentinel":
		return p.openSentinel(urls)
	}
	target, err := amqpconn.ParseURL(raw, p.tls)
	if err := errors.Join(err, p.redis.validate()); err != nil {
		return err
	}
	p.useAMQP(target)
	return nil
}

// transportOf returns the Celery transport of a URL, or "" if the package does not support it.
func transportOf(raw string) string {
	switch scheme := schemeOf(raw); scheme {
	case "amqp", "amqps", "pyamqp", "librabbitmq":
		return "amqp"
	case "redis", "rediss", "redis+socket":
		return "redis"
	case "sentinel":
		return scheme
	}
	return ""
}

// schemeOf returns the scheme of a URL in lower case, or "" if it has none.
func schemeOf(raw string) string {
	scheme, _, found := strings.Cut(raw, "://")
	if !found {
		return ""
	}
	return strings.ToLower(scheme)
}

// sameTransport returns an error if the URLs have different transports, or if the package does not support a
// transport.
func sameTransport(raw, transport string, urls []string) error {
	for _, url := range urls {
		var err error
		alias, _, _ := strings.Cut(schemeOf(url), "+")
		switch {
		case slices.Contains(otherTransports, alias):
			err = fmt.Errorf("there is no probe for Celery's transport %q: remove WithCelery, and check this broker "+
				"with echohealth.WithCheck and a probes.Func of your own", alias)
		case transportOf(url) == "":
			err = fmt.Errorf("its scheme must be one of %s", strings.Join(schemes, ", "))
		case transportOf(url) != transport:
			err = errors.New("the brokers of a list must all be RabbitMQ, all be Redis, or all be Sentinels")
		}
		if err != nil {
			return amqpconn.InvalidURL(raw, err)
		}
	}
	return nil
}

var schemes = []string{
	"amqp", "amqps", "pyamqp", "librabbitmq", "redis", "rediss", "redis+socket", "sentinel",
}

// otherTransports are the names of kombu.transport.TRANSPORT_ALIASES that have no probe, in lower case.
var otherTransports = []string{
	"azureservicebus", "azurestoragequeues", "confluentkafka", "consul", "etcd", "filesystem", "gcpubsub",
	"kafka", "memory", "mongodb", "pyro", "qpid", "slmq", "sqla", "sqlalchemy", "sqs", "zookeeper",
}
