// Package testserver starts real servers for tests: PostgreSQL, PgBouncer, MariaDB, Redis, RabbitMQ, Celery
// workers, Prometheus, HAProxy, nginx and Caddy, each private to the test that asks for it, on a free port
// of 127.0.0.1, so that a test may also stop, kill, freeze and restart it. A [Proxy] adds the faults of a
// network.
//
//	func TestMain(m *testing.M) { testserver.Main(m) }
//
//	func TestPing(t *testing.T) {
//		pg := testserver.NewPostgres(t)
//		…
//		pg.Freeze(t)
//
// A New function's server ends with its test. A Shared function's server is one for the whole test binary; a
// test must leave it as it was. A server whose program is not installed skips the test with a message that
// names the Debian package; with ECHOHEALTH_REQUIRE_SERVERS set to anything but the empty string it fails the
// test instead. Without that variable, -short skips every such test. On other systems than Linux no server is
// used, as if none were installed. The proxy works everywhere.
//
// Nothing outlives the test binary, however it ends: each server has a guard, a small shell process, that
// kills the server and all its children when the test binary is gone, be it by a timeout or by kill -9.
//
// A server costs no goroutine. A proxy has one, and four for each connection, until its test ends. A test
// that looks for leaked goroutines before that, with a deferred goleak.VerifyNone, passes
// goleak.IgnoreAnyFunction with [ProxyGoroutine].
//
// The methods of a server are not safe for concurrent use. The methods of a Proxy are.
package testserver

import (
	"os"
	"sync"
	"testing"
)

// Main runs the tests of a package, ends the shared servers, and exits:
//
//	func TestMain(m *testing.M) { testserver.Main(m) }
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main without the exit, for a TestMain that has more to do, such as to look for
// leaked goroutines with goleak.Find. It returns the code to exit with.
func Run(m *testing.M) int {
	defer endShared()
	return m.Run()
}

// shared holds the state of the whole test binary.
var shared struct {
	mu       sync.Mutex // guards the rest, also while a server starts
	postgres *Postgres
	redis    *Redis
	rabbitmq *RabbitMQ
}

// SharedPostgres returns the test binary's common PostgreSQL, started at first use and ended by Main. Use it
// in tests that neither stop nor change the server.
func SharedPostgres(t testing.TB) *Postgres {
	t.Helper()
	return sharedServer(&shared.postgres, func() *Postgres { return startPostgres(t) })
}

// SharedRedis returns the test binary's common Redis, started at first use and ended
// by Main. It is for tests that do it no harm.
func SharedRedis(t testing.TB) *Redis {
	t.Helper()
	return sharedServer(&shared.redis, func() *Redis { return startRedis(t) })
}

// SharedRabbitMQ returns the test binary's common RabbitMQ, started at first use and
// ended by Main. It is for tests that do it no harm: no memory alarm, no deleted user.
func SharedRabbitMQ(t testing.TB) *RabbitMQ {
	t.Helper()
	return sharedServer(&shared.rabbitmq, func() *RabbitMQ { return startRabbitMQ(t) })
}

// sharedServer starts a server into slot unless it holds one already. A start that
// fails leaves the slot empty, so that the next test tries again and also fails.
func sharedServer[S any](slot **S, start func() *S) *S {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if *slot == nil {
		*slot = start()
	}
	return *slot
}

func endShared() {
	shared.mu.Lock()
	defer shared.mu.Unlock()
	if shared.postgres != nil {
		shared.postgres.end()
	}
	if shared.redis != nil {
		shared.redis.end()
	}
	if shared.rabbitmq != nil {
		shared.rabbitmq.end()
	}
	postgresData.end()
	mariaDBData.end()
}
