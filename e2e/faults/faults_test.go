package faults_test

import (
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/testserver"
)

// fault is a row of the table: the fault, and the result that each check must report.
type fault struct {
	name string
	how  string // how the tests cause it, for the page

	acts map[kind]act // the acts, by the kind of server; the columns of all other kinds stay empty
	want words

	tls      bool // the services connect with TLS
	writable bool // with pgxprobe.RequireWritable
	pings    bool // with celeryprobe.PingWorkers, and with a Celery worker
	keeps    bool // existing connections survive the fault
}

// act causes a fault and ends it.
type act struct {
	begin, end func(s *scene)
	private    bool     // the scene needs its own server
	settings   []string // of the scene's own PostgreSQL or MariaDB, or of the Redis
}

// words has the expected results of the checks, by column: "ok", the reason of an error, or "warning" and its
// reason. If the result changes during the fault, because the cause is found late, the results are joined by
// " / ".
type words map[column]string

// all returns the same word for every dependency. The application's own AMQP connection sends no request, so
// it has another word.
func all(word, publisher string) words {
	return words{pgx: word, sqlDB: word, sqlMariaDB: word, redisKV: word, celeryRedis: word, amqpBroker: word, celeryAMQP: word, amqpPublisher: publisher}
}

// and adds the word of one column.
func (w words) and(c column, word string) words {
	w[c] = word
	return w
}

// network returns the acts of a network fault, which are the same for all servers.
func network(begin, end func(p *testserver.Proxy)) map[kind]act {
	a := act{
		begin: func(s *scene) { s.proxies(begin) },
		end:   func(s *scene) { s.proxies(end) },
	}
	return map[kind]act{postgreSQL: a, mariaDB: a, redisServer: a, rabbitMQ: a}
}

// everywhere returns the same act for each kind of server.
func everywhere(a act) map[kind]act {
	return map[kind]act{postgreSQL: a, mariaDB: a, redisServer: a, rabbitMQ: a}
}

// exhausted returns the acts of an application that uses all connections of its pool.
func exhausted(kinds ...kind) map[kind]act {
	acts := make(map[kind]act)
	for _, k := range kinds {
		acts[k] = act{begin: (*scene).holdAll, end: (*scene).releaseAll}
	}
	return acts
}

// readOnly returns the acts that make databases read-only, with the given act for a Redis.
func readOnly(redis act) map[kind]act {
	acts := map[kind]act{
		postgreSQL: {private: true, begin: func(s *scene) { s.move(s.postgres.standby(s)) }, end: (*scene).moveBack},
		mariaDB: {private: true, begin: func(s *scene) { s.maria.set(s, "read_only", "ON") },
			end: func(s *scene) { s.maria.set(s, "read_only", "OFF") }},
		sqliteFile: {private: true, begin: func(s *scene) { s.sqlite.remount(s, "ro") },
			end: func(s *scene) { s.sqlite.remount(s, "rw") }},
	}
	if redis.begin != nil {
		acts[redisServer] = redis
	}
	return acts
}

func delay(d time.Duration) func(*testserver.Proxy) {
	return func(p *testserver.Proxy) { p.Delay(d) }
}

func pass(p *testserver.Proxy) { p.Pass() }

// silent makes the server silent on new and on existing connections.
func silent(p *testserver.Proxy) { p.Silent(); p.Reset() }

var faults = []fault{
	{
		name: "connection refused",
		how:  "the port is closed, and all connections are reset",
		acts: network((*testserver.Proxy).Refuse, pass),
		want: all("connection_refused", "connection_lost"),
	},
	{
		name: "the name does not resolve",
		how:  "the DNS answers NXDOMAIN, and all connections are reset",
		acts: everywhere(act{begin: (*scene).forgetNames, end: (*scene).rememberNames}),
		want: all("host_not_found", "connection_lost"),
	},
	{
		name: "packets are dropped",
		how:  "connecting gets no answer, and all connections are reset",
		acts: network((*testserver.Proxy).Drop, pass),
		want: all("timeout", "connection_lost"),
	},
	{
		name: "accepts, then silent",
		how:  "all connections are reset, and new ones are accepted and never answered",
		acts: network(silent, pass),
		want: all("timeout", "connection_lost"),
	},
	{
		name:  "the network loses everything",
		how:   "connections stay, and nothing is delivered any more",
		acts:  network((*testserver.Proxy).Stall, pass),
		want:  all("timeout", "ok"),
		keeps: true,
	},
	{
		name:  "frozen",
		how:   "all processes of the server get SIGSTOP",
		acts:  everywhere(act{begin: (*scene).freeze, end: (*scene).thaw, private: true}),
		want:  all("timeout", "ok"),
		keeps: true,
	},
	{
		name: "reset in mid-answer",
		how:  "each connection is reset as soon as the server answers on it",
		acts: network((*testserver.Proxy).ResetOnReply, pass),
		want: all("connection_lost", "ok"),
	},
	{
		name: "killed",
		how:  "all processes of the server get SIGKILL, and it is started again later",
		acts: everywhere(act{begin: (*scene).kill, end: (*scene).restart, private: true}),
		want: all("connection_refused", "connection_lost"),
	},
	{
		name: "restarted unseen",
		how:  "all processes of the server get SIGKILL, and it is started again before the next check",
		acts: everywhere(act{begin: func(s *scene) { s.kill(); s.restart() }, end: func(*scene) {}, private: true}),
		want: all("ok", "connection_lost"),
	},
	{
		name: "slow by 300 ms",
		how:  "each answer is delivered 300 ms late",
		acts: network(delay(300*time.Millisecond), pass),
		want: all("ok", "ok"), keeps: true,
	},
	{
		name: "slow by 3 s",
		how:  "each answer is delivered 3 s late",
		acts: network(delay(3*time.Second), pass),
		want: all("timeout", "ok"), keeps: true,
	},
	{
		name: "one byte at a time",
		how:  "answers are delivered byte by byte, 200 ms apart",
		acts: network(func(p *testserver.Proxy) { p.Drip(200 * time.Millisecond) }, pass),
		want: all("timeout", "ok"), keeps: true,
	},
	{
		name: "wrong password",
		how:  "the user's password is changed on the server, and all connections are reset",
		acts: map[kind]act{
			postgreSQL:  {begin: func(s *scene) { s.postgres.setPassword(s, "other"); s.reset() }, end: func(s *scene) { s.postgres.setPassword(s, password) }},
			pgBouncer:   {begin: func(s *scene) { s.pooler.setPassword(s, "other"); s.reset() }, end: func(s *scene) { s.pooler.setPassword(s, password) }},
			mariaDB:     {begin: func(s *scene) { s.maria.setPassword(s, "other"); s.reset() }, end: func(s *scene) { s.maria.setPassword(s, password) }},
			redisServer: {begin: func(s *scene) { s.redis.setPassword(s, "other"); s.reset() }, end: func(s *scene) { s.redis.setPassword(s, password) }},
			rabbitMQ:    {begin: func(s *scene) { s.rabbit.setPassword(s, "other"); s.reset() }, end: func(s *scene) { s.rabbit.setPassword(s, password) }},
		},
		want: words{pgx: "authentication_failed", pgxPooler: "authentication_failed", sqlDB: "authentication_failed",
			sqlMariaDB: "authentication_failed", redisKV: "authentication_failed", celeryRedis: "authentication_failed",
			amqpBroker: "timeout / authentication_failed", celeryAMQP: "timeout / authentication_failed", amqpPublisher: "connection_lost"},
	},
	{
		name: "no permission",
		how:  "PostgreSQL: no CONNECT on the database; MariaDB: no privilege on it; Redis: no SET and no LLEN; RabbitMQ: no access to the vhost",
		acts: map[kind]act{
			postgreSQL:  {begin: func(s *scene) { s.postgres.revoke(s); s.reset() }, end: func(s *scene) { s.postgres.grant(s) }},
			mariaDB:     {begin: func(s *scene) { s.maria.revoke(s); s.reset() }, end: func(s *scene) { s.maria.grant(s) }},
			redisServer: {begin: func(s *scene) { s.redis.user(s, "-set", "-llen"); s.reset() }, end: func(s *scene) { s.redis.user(s, "+@all") }},
			rabbitMQ:    {begin: func(s *scene) { s.rabbit.revoke(s); s.reset() }, end: func(s *scene) { s.rabbit.grant(s) }},
		},
		want: all("permission_denied", "connection_lost"),
	},
	{
		name: "no such database or vhost",
		how:  "PostgreSQL and MariaDB: the database is dropped; Redis: the server is replaced by one with fewer databases; RabbitMQ: the vhost is deleted",
		acts: map[kind]act{
			postgreSQL:  {begin: func(s *scene) { s.postgres.drop(s) }, end: func(s *scene) { s.postgres.create(s) }},
			mariaDB:     {begin: func(s *scene) { s.maria.drop(s) }, end: func(s *scene) { s.maria.create(s) }},
			redisServer: {begin: func(s *scene) { s.move(s.redis.smaller(s)) }, end: (*scene).moveBack},
			rabbitMQ:    {begin: func(s *scene) { s.rabbit.drop(s) }, end: func(s *scene) { s.rabbit.create(s) }},
		},
		want: all("not_found", "connection_lost"),
	},
	{
		name: "TLS client, plain server",
		how:  "the server is replaced by one without TLS",
		tls:  true,
		acts: map[kind]act{
			postgreSQL:  {begin: func(s *scene) { s.move(s.servers.postgres.Addr()) }, end: (*scene).moveBack},
			mariaDB:     {begin: func(s *scene) { s.move(s.servers.mariaDB.Addr()) }, end: (*scene).moveBack},
			redisServer: {begin: func(s *scene) { s.move(s.redis.Addr()) }, end: (*scene).moveBack},
			rabbitMQ:    {begin: func(s *scene) { s.move(s.rabbit.Addr()) }, end: (*scene).moveBack},
		},
		want: words{pgx: "tls_error", sqlDB: "tls_error", sqlMariaDB: "tls_error", redisKV: "timeout", celeryRedis: "timeout", amqpBroker: "tls_error", celeryAMQP: "tls_error", amqpPublisher: "connection_lost"},
	},
	{
		name: "plain client, TLS server",
		how:  "the server is replaced by one that wants TLS",
		acts: map[kind]act{
			postgreSQL:  {begin: func(s *scene) { s.move(s.servers.postgresTLS.Addr()) }, end: (*scene).moveBack},
			mariaDB:     {begin: func(s *scene) { s.move(s.servers.mariaDBTLS.Addr()) }, end: (*scene).moveBack},
			redisServer: {begin: func(s *scene) { s.move(s.redis.tlsAddr) }, end: (*scene).moveBack},
			rabbitMQ:    {begin: func(s *scene) { s.move(s.servers.rabbitTLS) }, end: (*scene).moveBack},
		},
		want: words{pgx: "authentication_failed", sqlDB: "authentication_failed", sqlMariaDB: "authentication_failed", redisKV: "connection_lost", celeryRedis: "connection_lost",
			amqpBroker: "tls_error", celeryAMQP: "tls_error", amqpPublisher: "connection_lost"},
	},
	{
		name: "the application's pool is exhausted",
		how:  "the application holds every connection of its pool",
		acts: exhausted(postgreSQL, pgBouncer, mariaDB, sqliteFile, redisServer),
		want: words{pgx: "warning pool_saturated", pgxPooler: "warning pool_saturated", sqlDB: "warning pool_saturated",
			sqlMariaDB: "warning pool_saturated", sqlSQLite: "warning pool_saturated", redisKV: "warning pool_saturated"},
		keeps: true,
	},
	{
		name: "the server's connections are used up",
		how:  "PostgreSQL and MariaDB: max_connections; PgBouncer: max_client_conn; Redis: maxclients; RabbitMQ: the vhost's limit; all connections are reset first",
		acts: map[kind]act{
			postgreSQL: {private: true, settings: []string{"max_connections=14"},
				begin: func(s *scene) { s.postgres.useUp(s) }, end: func(s *scene) { s.postgres.giveBack(s) }},
			pgBouncer: {begin: func(s *scene) { s.pooler.useUp(s) }, end: func(s *scene) { giveBack(s, s.pooler.hogs) }},
			mariaDB: {private: true, settings: []string{"max_connections=12"},
				begin: func(s *scene) { s.maria.useUp(s) }, end: func(s *scene) { s.maria.giveBack(s) }},
			redisServer: {begin: func(s *scene) { s.redis.config(s, "maxclients", "1"); s.reset() }, end: func(s *scene) { s.redis.config(s, "maxclients", "1000") }},
			rabbitMQ:    {begin: func(s *scene) { s.rabbit.limit(s, 0); s.reset() }, end: func(s *scene) { s.rabbit.limit(s, -1) }},
		},
		want: all("too_many_connections", "connection_lost").and(pgxPooler, "too_many_connections"),
	},
	{
		name: "the pooler is paused",
		how:  "PgBouncer's console gets PAUSE, and later RESUME",
		acts: map[kind]act{pgBouncer: {begin: func(s *scene) { s.pooler.pause(s.t) }, end: func(s *scene) { s.pooler.resume(s.t) }}},
		want: words{pgxPooler: "timeout"},
	},
	{
		name: "killed, behind the pooler",
		how:  "all processes of the PostgreSQL behind PgBouncer get SIGKILL, and it is started again later",
		acts: map[kind]act{pgBouncer: {begin: func(s *scene) { s.pooler.behind.Kill(s.t) }, end: func(s *scene) { s.pooler.behind.Start(s.t) }}},
		want: words{pgxPooler: "timeout"},
	},
	{
		name: "read-only",
		how: "the server is replaced by its hot standby, or its replica; MariaDB: read_only is set; " +
			"SQLite: the file system is mounted read-only, and all connections are closed first",
		acts: readOnly(act{begin: func(s *scene) { s.move(s.redis.replica(s)) }, end: (*scene).moveBack}),
		want: words{pgx: "ok", sqlDB: "ok", sqlMariaDB: "ok", sqlSQLite: "ok", redisKV: "read_only", celeryRedis: "ok"},
	},
	{
		name:     "read-only, and RequireWritable",
		how:      "the same, for a probe that is told to mind",
		writable: true,
		acts:     readOnly(act{}),
		want:     words{pgx: "read_only", sqlDB: "read_only", sqlMariaDB: "read_only", sqlSQLite: "read_only"},
	},
	{
		name: "the file is locked",
		how:  "SQLite: another connection has begun an exclusive transaction",
		acts: map[kind]act{
			sqliteFile: {begin: func(s *scene) { s.sqlite.lock(s) }, end: func(s *scene) { s.sqlite.unlock(s) }},
		},
		want:  words{sqlSQLite: "timeout"},
		keeps: true,
	},
	{
		name: "no space is left",
		how:  "SQLite: its file system is full",
		acts: map[kind]act{
			sqliteFile: {private: true, begin: func(s *scene) { s.sqlite.fill(s) }, end: func(s *scene) { s.sqlite.empty(s) }},
		},
		want:  words{sqlSQLite: "ok"},
		keeps: true,
	},
	{
		name: "out of memory",
		how:  "Redis is over its maxmemory, with noeviction",
		acts: map[kind]act{
			redisServer: {begin: func(s *scene) { s.redis.config(s, "maxmemory", "1") }, end: func(s *scene) { s.redis.config(s, "maxmemory", "0") }},
		},
		want:  words{redisKV: "out_of_resources", celeryRedis: "ok"},
		keeps: true,
	},
	{
		name: "starting",
		how:  "PostgreSQL: a standby that takes no connections yet; Redis: it loads its data after a restart",
		acts: map[kind]act{
			postgreSQL: {private: true, settings: []string{"hot_standby=off"},
				begin: func(s *scene) { s.move(s.postgres.standby(s)) }, end: (*scene).moveBack},
			redisServer: {settings: []string{"--key-load-delay", "50"}, // in microseconds; about 100 in effect
				begin: func(s *scene) { s.redis.load(s) }, end: func(s *scene) { s.redis.loaded(s) }},
		},
		want: words{pgx: "dependency_starting", sqlDB: "dependency_starting", redisKV: "dependency_starting", celeryRedis: "dependency_starting"},
	},
	{
		name: "memory alarm",
		how:  "RabbitMQ is over its high watermark, and the application publishes",
		acts: map[kind]act{
			rabbitMQ: {private: true, begin: func(s *scene) { s.rabbit.alarm(s) }, end: func(s *scene) { s.rabbit.allClear(s) }},
		},
		want:  words{amqpBroker: "ok", celeryAMQP: "ok", amqpPublisher: "broker_blocked"},
		keeps: true,
	},
	{
		name:  "out of memory, and PingWorkers",
		how:   "the same, with a worker of Celery's that the check pings",
		pings: true,
		acts: map[kind]act{
			redisServer: {begin: func(s *scene) { s.redis.config(s, "maxmemory", "1") }, end: func(s *scene) { s.redis.config(s, "maxmemory", "0") }},
		},
		want: words{celeryRedis: "out_of_resources"},
	},
	{
		name:  "read-only, and PingWorkers",
		how:   "the same, with a worker of Celery's that the check pings",
		pings: true,
		acts: map[kind]act{
			redisServer: {begin: func(s *scene) { s.move(s.redis.replica(s)) }, end: (*scene).moveBack},
		},
		want: words{celeryRedis: "read_only"},
	},
	{
		name:  "memory alarm, and PingWorkers",
		how:   "the same, with a worker of Celery's that the check pings",
		pings: true,
		acts: map[kind]act{
			rabbitMQ: {private: true, begin: func(s *scene) { s.rabbit.alarm(s) }, end: func(s *scene) { s.rabbit.allClear(s) }},
		},
		want: words{celeryAMQP: "broker_blocked"},
	},
	{
		name:  "the worker is frozen",
		how:   "all processes of Celery's worker get SIGSTOP; with PingWorkers",
		pings: true,
		acts: map[kind]act{
			redisServer: {begin: func(s *scene) { s.worker.Freeze(s.t) }, end: func(s *scene) { s.worker.Thaw(s.t) }},
			rabbitMQ:    {begin: func(s *scene) { s.worker.Freeze(s.t) }, end: func(s *scene) { s.worker.Thaw(s.t) }},
		},
		want: words{celeryRedis: "warning missing_workers", celeryAMQP: "warning missing_workers"},
	},
	{
		name:  "the worker is killed",
		how:   "all processes of Celery's worker get SIGKILL, and it is started again later; with PingWorkers",
		pings: true,
		acts: map[kind]act{
			redisServer: {begin: func(s *scene) { s.worker.Kill(s.t) }, end: func(s *scene) { s.worker.Start(s.t) }},
			rabbitMQ:    {begin: func(s *scene) { s.worker.Kill(s.t) }, end: func(s *scene) { s.worker.Start(s.t) }},
		},
		want: words{celeryRedis: "warning no_workers", celeryAMQP: "warning no_workers"},
	},
}

// TestFaults causes every fault on each kind of server that can have it.
func TestFaults(t *testing.T) {
	servers := startServers(t)
	t.Run("scenes", func(t *testing.T) { // returns when all scenes have ended
		for _, f := range faults {
			for kind, a := range f.acts {
				t.Run(f.name+"/"+string(kind), func(t *testing.T) {
					t.Parallel()
					play(t, servers, f, kind, a)
				})
			}
		}
	})
	measured.compare(t)
}
