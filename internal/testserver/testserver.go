// Package testserver starts real servers for tests: PostgreSQL, PgBouncer, MariaDB, Redis, RabbitMQ, Celery
// workers, Prometheus, HAProxy, nginx and Caddy. Each server listens on a free port of 127.0.0.1 and is
// private to the test that starts it. So the test may stop, kill, freeze and restart it. A [Proxy] simulates
// faults of the network.
//
//	func TestMain(m *testing.M) { testserver.Main(m) }
//
//	func TestPing(t *testing.T) {
//		pg := testserver.NewPostgres(t)
//		…
//		pg.Freeze(t)
//
// The server of a New function ends with its test. The server of a Shared function is shared by all tests of
// the test binary, so a test must not change it.
//
// A test whose server is not installed is skipped with a message that names the Debian package. If
// ECHOHEALTH_REQUIRE_SERVERS is set to anything but the empty string, the test fails instead. Without this
// variable, -short skips every test that needs a server. Servers run on Linux only. On another system they
// count as not installed. The proxy works on every system.
//
// No server outlives the test binary, even if the binary ends by a timeout or by kill -9. Each server has a
// guard, a small shell process, which kills the server and all its children when the test binary has ended.
//
// A server uses no goroutine. Until its test ends, a proxy uses one goroutine, and four more for each
// connection. A test that looks for leaked goroutines earlier, for example with a deferred goleak.VerifyNone,
// must pass goleak.IgnoreAnyFunction with [ProxyGoroutine].
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

// Run is like Main, but returns the exit code instead of exiting. It is for a TestMain that must do more,
// such as look for leaked goroutines with goleak.Find.
func Run(m *testing.M) int {
	defer endShared()
	return m.Run()
}

// shared holds the servers that all tests of the test binary share.
var shared struct {
	mu       sync.Mutex // guards the fields below, and is locked while a server starts
	postgres *Postgres
	redis    *Redis
	rabbitmq *RabbitMQ
}

// SharedPostgres returns the PostgreSQL that all tests of the test binary share. The first call starts it,
// and Main ends it. A test that uses it must neither stop nor change it.
func SharedPostgres(t testing.TB) *Postgres {
	t.Helper()
	return sharedServer(&shared.postgres, func() *Postgres { return startPostgres(t) })
}

// SharedRedis returns the Redis that all tests of the test binary share. The first call starts it, and Main
// ends it. A test that uses it must neither stop nor change it.
func SharedRedis(t testing.TB) *Redis {
	t.Helper()
	return sharedServer(&shared.redis, func() *Redis { return startRedis(t) })
}

// SharedRabbitMQ returns the RabbitMQ that all tests of the test binary share. The first call starts it, and
// Main ends it. A test that uses it must neither stop nor change it: it must not set off the memory alarm or
// delete the user, for example.
func SharedRabbitMQ(t testing.TB) *RabbitMQ {
	t.Helper()
	return sharedServer(&shared.rabbitmq, func() *RabbitMQ { return startRabbitMQ(t) })
}

// sharedServer starts a server and stores it in slot, unless slot holds a server already. If the start fails,
// slot stays empty. So the next test tries again and fails too, instead of using a server that doesn't run.
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
