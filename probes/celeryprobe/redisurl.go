package celeryprobe

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/echo-probes/echohealth/internal/amqpconn"
)

// redisOptions reads a URL as Celery does: redis://user:password@host:port/db, with rediss:// for TLS.
func redisOptions(raw string, custom *tls.Config) (*redis.Options, error) {
	u, query, err := amqpconn.ParseBrokerURL(raw, "redis", "rediss")
	if err != nil {
		return nil, err
	}
	config, err1 := amqpconn.TakeTLS(query, u.Scheme == "rediss", custom)
	timeout, err2 := query.TakeDuration("connect_timeout", time.Second) // 0: go-redis's default
	db, err3 := database(u.Path)
	if err := cmp.Or(err1, err2, err3, query.Rest()); err != nil {
		return nil, amqpconn.InvalidURL(raw, err)
	}
	password, _ := u.User.Password()
	return &redis.Options{
		Addr:        net.JoinHostPort(cmp.Or(u.Hostname(), "localhost"), cmp.Or(u.Port(), "6379")),
		Username:    u.User.Username(),
		Password:    password,
		DB:          db,
		DialTimeout: timeout,
		Dialer:      dialer(config),
	}, nil
}

// dialer returns a dial function that returns when its context ends. go-redis's own does not with TLS.
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
