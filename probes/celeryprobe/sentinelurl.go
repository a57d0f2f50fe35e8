package celeryprobe

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/echo-probes/echohealth/internal/amqpconn"
	"github.com/echo-probes/echohealth/internal/redisconn"
)

// openSentinel makes the broker of a list of Sentinels. The broker is the master that the Sentinels name.
func (p *Probe) openSentinel(urls []string) error {
	if p.tls != nil {
		return errors.New("celeryprobe.TLSConfig is not for sentinel://: use celeryprobe.Redis with a client")
	}
	options, advice, err := sentinelOptions(urls, p.redis.master)
	if err != nil {
		return err
	}
	if p.err == nil {
		client := redis.NewFailoverClient(options)
		server := redisServer{conn: redisconn.New(client.Options()), db: options.DB, owned: client}
		p.useRedis([]redisServer{server}, advice)
	}
	return nil
}

// sentinelOptions reads one URL sentinel://user:password@host:port/db for each Sentinel. As in Celery, only
// the user, the password and the database of the first URL count, and they are for the master.
func sentinelOptions(urls []string, master string) (*redis.FailoverOptions, []string, error) {
	var first *url.URL
	var options amqpconn.Query // query options of the first URL
	var addrs, advice []string
	for _, raw := range urls {
		u, query, err := amqpconn.ParseBrokerURL(raw, "sentinel")
		if err != nil {
			return nil, nil, err
		}
		addrs = append(addrs, net.JoinHostPort(cmp.Or(u.Hostname(), "localhost"), cmp.Or(u.Port(), "26379")))
		if first == nil {
			first, options = u, query
			continue
		}
		if err := query.Rest(); err != nil {
			return nil, nil, amqpconn.InvalidURL(raw, fmt.Errorf("only the first URL may have options: %w", err))
		}
		if differs(u, first) {
			advice = []string{"broker URL: Celery and the probe take user, password and database of the first " +
				"sentinel:// URL alone, and another one has others"}
		}
	}
	o, ignored, err := masterOptions(first, options, master)
	if err != nil {
		return nil, nil, amqpconn.InvalidURL(urls[0], err)
	}
	o.SentinelAddrs = addrs
	return o, append(ignoredAdvice(ignored), advice...), nil
}

// differs reports whether u has another user, password or database than first.
func differs(u, first *url.URL) bool {
	db, otherDB := strings.Trim(first.Path, "/"), strings.Trim(u.Path, "/")
	return u.User != nil && u.User.String() != first.User.String() || otherDB != "" && otherDB != cmp.Or(db, "0")
}

// masterOptions reads the options for the master from the first URL. It also returns the names of options
// that it ignores.
func masterOptions(
	u *url.URL, query amqpconn.Query, master string,
) (o *redis.FailoverOptions, ignored []string, err error) {
	inURL := query.Take("master_name")
	switch {
	case inURL != "" && master != "" && inURL != master:
		return nil, nil, fmt.Errorf(
			"master_name=%q and celeryprobe.MasterName(%q) exclude each other", inURL, master)
	case inURL == "" && master == "":
		return nil, nil, errors.New("the name of the master is missing: give celeryprobe.MasterName, " +
			"the master_name of Celery's broker_transport_options")
	}
	for name := range query {
		if strings.HasPrefix(name, "ssl_") {
			return nil, nil, fmt.Errorf("%s: TLS needs celeryprobe.Redis with a client for Sentinel", name)
		}
	}
	db, err1 := database(u.Path)
	client := redis.Options{DB: db}
	ignored, err2 := takeClientOptions(&client, u, query)
	if err := cmp.Or(err1, err2); err != nil {
		return nil, nil, err
	}
	return &redis.FailoverOptions{
		MasterName: cmp.Or(inURL, master), Username: client.Username, Password: client.Password, DB: client.DB,
		DialTimeout: client.DialTimeout, ReadTimeout: client.ReadTimeout, WriteTimeout: client.WriteTimeout,
		Protocol: client.Protocol, MaxRetries: -1, DialerRetries: 1, ContextTimeoutEnabled: true,
	}, ignored, nil
}
