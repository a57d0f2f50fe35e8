package celeryprobe

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/echo-probes/echohealth/internal/amqpconn"
	"github.com/echo-probes/echohealth/internal/redisconn"
)

// openRedis sets p's broker to the Redis at the URL. Several URLs are a failover list.
func (p *Probe) openRedis(urls []string) error {
	var servers []redisServer
	var ignored []string
	for _, raw := range urls {
		options, names, err := redisOptions(raw, p.tls)
		if err != nil {
			return err
		}
		servers = append(servers, redisServer{conn: redisconn.New(options), db: options.DB})
		ignored = append(ignored, names...)
	}
	p.useRedis(servers, ignoredAdvice(ignored))
	return nil
}

// redisOptions reads a URL as Celery does: redis://user:password@host:port/db, with rediss:// for TLS, or
// redis+socket://user:password@/path?virtual_host=db. It also returns the names of options that it ignores.
func redisOptions(raw string, custom *tls.Config) (*redis.Options, []string, error) {
	u, query, err := amqpconn.ParseBrokerURL(raw, "redis", "rediss", "redis+socket")
	if err != nil {
		return nil, nil, err
	}
	options := &redis.Options{
		Network: "tcp", Addr: net.JoinHostPort(cmp.Or(u.Hostname(), "localhost"), cmp.Or(u.Port(), "6379")),
	}
	path := u.Path
	if u.Scheme == "redis+socket" {
		options.Network, options.Addr, path = "unix", u.Path, query.Take("virtual_host")
		if u.Host != "" || u.Path == "" {
			err = errors.New("a socket's URL must have no host, as in redis+socket:///path")
		}
	}
	config, err1 := amqpconn.TakeTLS(query, u.Scheme == "rediss", custom)
	options.Dialer = dialer(config)
	db, err2 := database(path)
	options.DB = db
	ignored, err3 := takeClientOptions(options, u, query)
	if err := cmp.Or(err, err1, err2, err3); err != nil {
		return nil, nil, amqpconn.InvalidURL(raw, err)
	}
	return options, ignored, nil
}

// takeClientOptions reads the user, the password and the options of kombu and of redis-py into options. It
// returns the names of the options that have no meaning for the probe.
func takeClientOptions(
	options *redis.Options, u *url.URL, query amqpconn.Query,
) (ignored []string, err error) {
	_, password := query["password"]
	ignored, err0 := takeLogin(options, u, query)
	connect, err1 := query.TakeDuration("connect_timeout", time.Second) // 0 means go-redis's default
	socketConnect, err2 := takeSeconds(query, "socket_connect_timeout")
	options.DialTimeout = cmp.Or(socketConnect, connect)
	socket, err3 := takeSeconds(query, "socket_timeout")
	options.ReadTimeout, options.WriteTimeout = socket, socket
	protocol := query.Take("protocol")
	if !slices.Contains([]string{"", "2", "3"}, protocol) {
		err = fmt.Errorf("protocol=%q: it must be 2 or 3", protocol)
	}
	options.Protocol, _ = strconv.Atoi(protocol) // 0 means go-redis's default
	for _, name := range ignoredOptions {
		if query.Take(name) != "" {
			ignored = append(ignored, name)
		}
	}
	rest := query.Rest()
	if rest != nil && password {
		rest = errors.New("an option of the URL is unknown, and is not named because it may be a part of the " +
			"password: a & or ; in a password must be written as %26 or %3B")
	}
	return ignored, cmp.Or(err0, err1, err2, err3, err, refused(query), rest)
}

// takeLogin reads the user, the password and the database into options, whose DB is that of the URL's path.
// redis-py uses the user and the password of the query if the URL has none before its host, and prefers the
// database of the query. In a socket's URL kombu ignores all three in the query, and takeLogin returns their
// names.
func takeLogin(options *redis.Options, u *url.URL, query amqpconn.Query) (ignored []string, err error) {
	inQuery := make(map[string]string)
	for _, name := range loginOptions {
		if value := query.Take(name); value != "" {
			inQuery[name] = value
			ignored = append(ignored, name)
		}
	}
	options.Username = u.User.Username()
	options.Password, _ = u.User.Password()
	if u.Scheme == "redis+socket" {
		return ignored, nil
	}
	options.Username = cmp.Or(options.Username, inQuery["username"])
	options.Password = cmp.Or(options.Password, inQuery["password"])
	if db := inQuery["db"]; db != "" {
		if options.DB, err = strconv.Atoi(db); err != nil || options.DB < 0 {
			return nil, errors.New("db must be the number of a database")
		}
	}
	return nil, nil
}

// loginOptions are the options of redis-py that a URL normally has before its host and in its path.
var loginOptions = []string{"db", "username", "password"}

// refused returns an error for an option that the probe can't heed, and that it must not ignore, because it
// would log in otherwise than Celery.
func refused(query amqpconn.Query) error {
	switch {
	case query.Take("credential_provider") != "":
		return errors.New("credential_provider: the probe can't call a class of Python: use celeryprobe.Redis " +
			"with a client that has a CredentialsProvider")
	case query.Take("ssl_password") != "":
		return errors.New("ssl_password: the probe can't decrypt a key: decrypt it yourself, and give the " +
			"certificate in celeryprobe.TLSConfig")
	}
	return nil
}

// ignoredOptions are options of redis-py that concern only the connections of its own client, or that are
// objects of Python, or that make its TLS stricter.
var ignoredOptions = []string{
	"cache", "cache_config", "client_name", "command_packer", "decode_responses", "driver_info", "encoding",
	"encoding_errors", "event_dispatcher", "health_check_interval", "legacy_responses", "lib_name",
	"lib_version", "maint_notifications_config", "max_connections", "parser_class", "redis_connect_func",
	"retry", "retry_on_error", "retry_on_timeout", "single_connection_client", "socket_keepalive",
	"socket_keepalive_options", "socket_read_size", "socket_type", "ssl_ciphers", "ssl_exclude_verify_flags",
	"ssl_include_verify_flags", "ssl_ocsp_context", "ssl_ocsp_expected_cert", "ssl_validate_ocsp",
	"ssl_validate_ocsp_stapled", "timeout",
}

// ignoredAdvice returns one line of advice that lists the ignored options, or none if there are no such
// options, and one for those in a socket's URL that Celery ignores too.
func ignoredAdvice(names []string) (lines []string) {
	slices.Sort(names)
	var login, others []string
	for _, name := range slices.Compact(names) {
		if slices.Contains(loginOptions, name) {
			login = append(login, name)
		} else {
			others = append(others, name)
		}
	}
	if len(others) > 0 {
		lines = append(lines, "broker URL: the probe ignores "+strings.Join(others, ", ")+
			": redis-py takes them for its own connections")
	}
	if len(login) > 0 {
		lines = append(lines, "broker URL: in the query of redis+socket:// Celery and the probe ignore "+
			strings.Join(login, ", ")+": write redis+socket://user:password@/path?virtual_host=db")
	}
	return lines
}

// takeSeconds removes the option from query and returns its value, or 0 if it is absent. The value may be a
// fraction, as in redis-py.
func takeSeconds(query amqpconn.Query, name string) (time.Duration, error) {
	const year = 365 * 24 * 60 * 60
	value := query.Take(name)
	if value == "" {
		return 0, nil
	}
	seconds, err := strconv.ParseFloat(value, 64)
	if err != nil || !(seconds >= 0.001 && seconds <= year) {
		return 0, fmt.Errorf("%s=%q: it must be a number of seconds from 0.001 to %d", name, value, year)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

// dialer returns a dial function that returns when its context ends. With TLS the dial function of go-redis
// does not.
func dialer(config *tls.Config) func(ctx context.Context, network, addr string) (net.Conn, error) {
	if config == nil {
		return new(net.Dialer).DialContext
	}
	return (&tls.Dialer{Config: config}).DialContext
}

func database(path string) (int, error) {
	path = strings.Trim(path, "/")
	if path == "" {
		return 0, nil
	}
	db, err := strconv.Atoi(path)
	if err != nil || db < 0 {
		return 0, errors.New("its path must be the number of a database")
	}
	return db, nil
}
