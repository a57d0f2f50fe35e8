package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	_ "modernc.org/sqlite"

	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/pgxprobe"
	"github.com/echo-probes/echohealth/probes/sqlprobe"
)

// These errors are for invalid URLs. They do not wrap the libraries' errors, because those may contain the
// password.
var (
	errDatabaseURL = errors.New("DATABASE_URL is not of the form postgres://user:password@host:5432/database")
	errRedisURL    = errors.New("REDIS_URL is not of the form redis://:password@host:6379/0")
	errBrokerURL   = errors.New("BROKER_URL is not of the form amqp://user:password@host:5672/vhost " +
		"or redis://:password@host:6379/0")
)

// parts are the databases and queues of the service. A part is a real server if the environment names one,
// and otherwise an embedded one.
type parts struct {
	notes         *notes
	databaseProbe probes.Probe
	cache         *redis.Client
	queue         queue
	brokerURL     string

	about    []string // one line for each part
	embedded *miniredis.Miniredis
	closers  []func()
}

// openParts opens the parts. It returns an error if a setting is invalid, but not if a real server is down,
// because it does not connect to real servers. The health checks report a server that is down.
func openParts(getenv func(string) string) (*parts, error) {
	p := &parts{}
	err := p.openDatabase(getenv("DATABASE_URL"))
	if err == nil {
		err = p.openCache(getenv("REDIS_URL"))
	}
	if err == nil {
		err = p.openQueue(getenv("BROKER_URL"))
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// close closes the parts in reverse order.
func (p *parts) close() {
	for _, closer := range slices.Backward(p.closers) {
		closer()
	}
}

func (p *parts) onClose(closer func()) {
	p.closers = append(p.closers, closer)
}

func (p *parts) openDatabase(url string) error {
	if url == "" {
		p.about = append(p.about, "database  SQLite in memory (DATABASE_URL puts PostgreSQL in its place)")
		return p.openSQLite()
	}
	p.about = append(p.about, "database  PostgreSQL, from DATABASE_URL")
	return p.openPostgres(url)
}

func (p *parts) openPostgres(url string) error {
	if !hasScheme(url, "postgres", "postgresql") {
		return errDatabaseURL
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return errDatabaseURL
	}
	// Without a timeout, a dial that gets no answer would occupy a connection of the pool for minutes.
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 2 * time.Second
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return errDatabaseURL
	}
	p.onClose(pool.Close)
	p.databaseProbe = pgxprobe.New(pool)
	p.useDatabase(stdlib.OpenDBFromPool(pool))
	return nil
}

func (p *parts) openSQLite() error {
	const inMemory = "file:/notes?vfs=memdb&_pragma=busy_timeout(1000)"
	// The database exists only as long as a connection to it is open. So this connection, outside the pool,
	// stays open.
	anchor, err := sql.Open("sqlite", inMemory)
	if err != nil {
		return err
	}
	p.onClose(func() { anchor.Close() })
	if err := anchor.Ping(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", inMemory)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(4)
	p.databaseProbe = sqlprobe.New(db)
	p.useDatabase(db)
	return nil
}

func (p *parts) useDatabase(db *sql.DB) {
	p.onClose(func() { db.Close() })
	p.notes = &notes{db: db}
}

func (p *parts) openCache(url string) error {
	line := "cache     Redis, from REDIS_URL"
	if url == "" {
		addr, err := p.embeddedRedis()
		if err != nil {
			return err
		}
		url = "redis://" + addr + "/0"
		line = "cache     " + url + " in this process (REDIS_URL puts a real Redis in its place)"
	}
	p.about = append(p.about, line)
	client, err := newRedis(url)
	if err != nil {
		return errRedisURL
	}
	p.onClose(func() { client.Close() })
	p.cache = client
	return nil
}

func (p *parts) openQueue(url string) error {
	line := "queue     Celery's broker, from BROKER_URL"
	if url == "" {
		addr, err := p.embeddedRedis()
		if err != nil {
			return err
		}
		url = "redis://" + addr + "/1"
		line = "queue     " + url + " in this process (BROKER_URL puts a real broker in its place)"
	}
	// Celery accepts a list of brokers for failover, but the queues below do not.
	if strings.Contains(url, ";") {
		return errBrokerURL
	}
	p.about = append(p.about, line)
	p.brokerURL = url
	if hasScheme(url, "redis", "rediss") {
		return p.openRedisQueue(url)
	}
	if _, err := amqp.ParseURI(url); err != nil {
		return errBrokerURL
	}
	p.queue = amqpQueue{url: url}
	return nil
}

func (p *parts) openRedisQueue(url string) error {
	client, err := newRedis(url)
	if err != nil {
		return errBrokerURL
	}
	p.onClose(func() { client.Close() })
	p.queue = redisQueue{client: client}
	return nil
}

// newRedis makes a client that respects the deadlines of its callers. It doesn't retry, so that it reports
// immediately why it can't connect.
func newRedis(url string) (*redis.Client, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	options.ContextTimeoutEnabled = true
	options.DialerRetries = 1
	options.MaxRetries = -1
	// go-redis would log each failed dial. The health checks log the first one.
	logging.Disable()
	return redis.NewClient(options), nil
}

// embeddedRedis returns the address of a Redis in this process. The first call starts it.
func (p *parts) embeddedRedis() (string, error) {
	if p.embedded != nil {
		return p.embedded.Addr(), nil
	}
	server := miniredis.NewMiniRedis()
	if err := server.Start(); err != nil {
		return "", fmt.Errorf("the embedded Redis: %w", err)
	}
	p.onClose(server.Close)
	p.embedded = server
	p.onClose(runClock(server))
	return server.Addr(), nil
}

// runClock advances the clock of the embedded Redis, because otherwise no key would expire. It ends when stop
// is called.
func runClock(server *miniredis.Miniredis) (stop func()) {
	tick := time.NewTicker(time.Second)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-tick.C:
				server.FastForward(time.Second)
			case <-done:
				return
			}
		}
	}()
	return func() { tick.Stop(); close(done) }
}

func hasScheme(url string, schemes ...string) bool {
	scheme, _, found := strings.Cut(url, "://")
	return found && slices.Contains(schemes, strings.ToLower(scheme))
}
