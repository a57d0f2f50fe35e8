package faults_test

import (
	"context"
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
	"github.com/echo-probes/echohealth/probes/redisprobe"
)

// redisDB is the number of the application's database.
const redisDB = 5

// redisSite is a Redis server with a user.
type redisSite struct {
	*testserver.Redis
	tlsAddr string
	name    string
	ca      string
	admin   *redis.Client
	cert    certificate
	loading sync.WaitGroup
}

func openRedis(s *scene) *redisSite {
	r := &redisSite{name: unique("faultuser"), ca: s.servers.cert.cert, cert: s.servers.cert}
	port := strconv.Itoa(testserver.FreePort(s.t))
	r.tlsAddr = net.JoinHostPort("127.0.0.1", port)
	r.Redis = r.server(s, append([]string{"--tls-port", port, "--tls-auth-clients", "no",
		"--tls-cert-file", r.cert.cert, "--tls-key-file", r.cert.key, "--tls-ca-cert-file", r.cert.cert}, s.act.settings...)...)
	r.admin = redis.NewClient(&redis.Options{Addr: r.Addr(), PoolSize: 1, ContextTimeoutEnabled: true})
	s.t.Cleanup(func() { _ = r.admin.Close() })
	r.do(s, "PING") // connects before the limit on connections is reached
	return r
}

func (r *redisSite) server(s *scene, args ...string) *testserver.Redis {
	user := []string{"--user", r.name, "on", ">" + password, "~*", "&*", "+@all"}
	return testserver.NewRedis(s.t, slices.Concat(args, user)...)
}

func (r *redisSite) secrets() []string { return []string{r.name, r.ca, r.Addr()} }

func (r *redisSite) do(s *scene, args ...any) {
	s.must(r.admin.Do(context.Background(), args...).Err(), "%v", args)
}

func (r *redisSite) config(s *scene, name, value string) { r.do(s, "CONFIG", "SET", name, value) }

func (r *redisSite) user(s *scene, rules ...any) {
	r.do(s, slices.Concat([]any{"ACL", "SETUSER", r.name}, rules)...)
}

func (r *redisSite) setPassword(s *scene, word string) { r.user(s, "resetpass", ">"+word) }

// smaller returns the address of a server with the same user and only one database.
func (r *redisSite) smaller(s *scene) string { return r.server(s, "--databases", "1").Addr() }

// replica returns the address of a replica server.
func (r *redisSite) replica(s *scene) string {
	return r.server(s, "--replicaof", "127.0.0.1", strconv.Itoa(r.Port())).Addr()
}

// load restarts the server with data that take a long time to load.
func (r *redisSite) load(s *scene) {
	// With the delay for each key the load takes at least 17 s, which is longer than the observation, and about
	// 40 s on Linux. Even on a slow machine it must end within the time that a server has to start.
	const keys, batch = 350_000, 10_000
	for at := 0; at < keys; at += batch {
		_, err := r.admin.Pipelined(context.Background(), func(pipe redis.Pipeliner) error {
			for i := range batch {
				pipe.Set(context.Background(), strconv.Itoa(at+i), 1, 0)
			}
			return nil
		})
		s.must(err, "write data")
	}
	r.Stop(s.t)
	r.loading.Go(func() { r.Start(s.t) })
	for !redis.IsLoadingError(r.admin.Ping(s.t.Context()).Err()) && !s.t.Failed() {
		time.Sleep(time.Millisecond)
	}
}

// loaded waits until the server has loaded the data.
func (r *redisSite) loaded(s *scene) {
	r.config(s, "key-load-delay", "0")
	r.loading.Wait()
}

func (r *redisSite) url(addr string) *url.URL {
	return &url.URL{Scheme: "redis", User: url.UserPassword(r.name, password), Host: addr, Path: strconv.Itoa(redisDB)}
}

func (r *redisSite) start(addr string, rig *rig) (application, error) {
	u := r.url(addr)
	options := &redis.Options{Addr: addr, Username: r.name, Password: password, DB: redisDB, PoolSize: poolSize}
	if rig.scene.fault.tls {
		u.Scheme, u.RawQuery = "rediss", "ssl_ca_certs="+url.QueryEscape(r.ca)
		options.TLSConfig = r.cert.client()
	}
	if rig.column == celeryRedis {
		rig.probe = celeryprobe.New(u.String(), rig.celeryOptions()...)
		return nil, nil
	}
	client := redis.NewClient(options)
	rig.probe = redisprobe.New(client)
	return redisApp{client}, nil
}

// redisApp uses Redis through a client with go-redis's default options, because most applications use those.
type redisApp struct{ *redis.Client }

func (a redisApp) use(ctx context.Context) error {
	var errs []error
	release, err := a.take(ctx, func(conn *redis.Conn) { errs = append(errs, conn.Ping(ctx).Err()) })
	release()
	return errors.Join(append(errs, err)...)
}

func (a redisApp) hold(ctx context.Context) (func(), error) {
	return a.take(ctx, func(conn *redis.Conn) { conn.Ping(ctx) })
}

// take takes all connections of the pool. The first command on a connection takes it.
func (a redisApp) take(_ context.Context, f func(*redis.Conn)) (release func(), err error) {
	var conns []*redis.Conn
	for range poolSize {
		conn := a.Conn()
		conns = append(conns, conn)
		f(conn)
	}
	return func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}, nil
}

func (a redisApp) pool() (connections, busy int, made int64) {
	stats := a.PoolStats()
	return int(stats.TotalConns), int(stats.TotalConns) - int(stats.IdleConns), int64(stats.Misses)
}

func (a redisApp) close() { _ = a.Close() }
