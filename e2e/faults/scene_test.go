package faults_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/echo-probes/echohealth/internal/testserver"
)

// scene is one fault on one kind of server, with one service for each probe of that kind.
type scene struct {
	t       *testing.T
	servers *servers
	fault   fault
	act     act

	site     site // the server: one of the sites below
	postgres *postgresSite
	pooler   *poolerSite
	maria    *mariaSite
	sqlite   *sqliteSite
	redis    *redisSite
	rabbit   *rabbitSite
	addr     string               // the address of the server before the fault
	broker   *testserver.RabbitMQ // nil unless the scene has its own broker
	worker   *testserver.Celery   // nil unless the fault is one of workers

	rigs    []*rig
	release []func() // release the connections that holdAll holds
}

// site is a server or a file, as a scene uses it.
type site interface {
	Addr() string
	secrets() []string
	start(addr string, r *rig) (application, error) // also sets the rig's probe
}

// server is a site with processes.
type server interface {
	Freeze(testing.TB)
	Thaw(testing.TB)
	Kill(testing.TB)
	Start(testing.TB)
}

// play runs a scene: before, during and after the fault.
func play(t *testing.T, servers *servers, f fault, k kind, a act) {
	s := &scene{t: t, servers: servers, fault: f, act: a}
	s.prepare(k)
	s.each((*rig).rest)
	a.begin(s)
	s.each((*rig).observe)
	s.each((*rig).press)
	s.each((*rig).settle)
	a.end(s)
	s.each((*rig).recover)
	s.each((*rig).settleAgain)
	for _, r := range s.rigs {
		measured.note(f, r)
	}
}

// prepare starts the server and the services, and waits until all checks are ok.
func (s *scene) prepare(k kind) {
	if s.act.private && k == rabbitMQ {
		s.broker = <-s.servers.private
		s.t.Cleanup(func() { s.servers.private <- s.broker })
	}
	preparing <- struct{}{}
	defer func() { <-preparing }()
	s.open(k)
	if s.fault.pings {
		s.worker = testserver.NewCelery(s.t, s.brokerURL(), testserver.CeleryArgs("--concurrency", "1"))
	}
	for _, c := range columns {
		if c.kind() == k && s.fault.want[c] != "" {
			s.rigs = append(s.rigs, newRig(s, c))
		}
	}
	s.each((*rig).warmUp)
	if s.t.Failed() {
		s.t.FailNow()
	}
}

// preparing limits how many scenes start servers at the same time. Starting is most of the work, and more of
// it would disturb the other scenes.
var preparing = make(chan struct{}, 2)

// open prepares the scene's server.
func (s *scene) open(k kind) {
	switch k {
	case postgreSQL:
		s.postgres = openPostgres(s)
		s.site, s.addr = s.postgres, s.postgres.Addr()
	case pgBouncer:
		s.pooler = openPooler(s)
		s.site, s.addr = s.pooler, s.pooler.Addr()
	case mariaDB:
		s.maria = openMariaDB(s)
		s.site, s.addr = s.maria, s.maria.Addr()
	case sqliteFile:
		s.sqlite = openSQLite(s)
		s.site, s.addr = s.sqlite, s.sqlite.Addr()
	case redisServer:
		s.redis = openRedis(s)
		s.site, s.addr = s.redis, s.redis.Addr()
		if s.fault.tls {
			s.addr = s.redis.tlsAddr
		}
	case rabbitMQ:
		s.rabbit = openRabbit(s)
		s.site, s.addr = s.rabbit, s.rabbit.Addr()
		if s.fault.tls {
			s.addr = s.servers.rabbitTLS
		}
	}
}

// brokerURL returns the broker's URL for the Celery worker, which connects without a proxy.
func (s *scene) brokerURL() string {
	if s.redis != nil {
		return s.redis.url(s.redis.Addr()).String()
	}
	return s.rabbit.url(s.rabbit.Addr()).String()
}

// each calls f with all rigs in parallel.
func (s *scene) each(f func(r *rig)) {
	var all sync.WaitGroup
	for _, r := range s.rigs {
		all.Go(func() { f(r) })
	}
	all.Wait()
}

func (s *scene) proxies(f func(*testserver.Proxy)) {
	for _, r := range s.rigs {
		f(r.proxy)
	}
}

// reset resets all connections.
func (s *scene) reset() { s.proxies((*testserver.Proxy).Reset) }

// move makes the rigs' address lead to another server.
func (s *scene) move(addr string) {
	s.proxies(func(p *testserver.Proxy) { p.Redirect(addr); p.Reset() })
}

func (s *scene) moveBack() { s.move(s.addr) }

func (s *scene) forgetNames() {
	for _, r := range s.rigs {
		names.set(r.host, false)
	}
	s.reset()
}

func (s *scene) rememberNames() {
	for _, r := range s.rigs {
		names.set(r.host, true)
	}
}

func (s *scene) freeze() { s.site.(server).Freeze(s.t) }

func (s *scene) thaw() { s.site.(server).Thaw(s.t) }

// kill kills the server, and closes the rigs' ports. Otherwise the proxy would accept connections and then
// reset them, but a killed server refuses connections.
func (s *scene) kill() {
	s.site.(server).Kill(s.t)
	s.proxies((*testserver.Proxy).Refuse)
}

func (s *scene) restart() {
	s.site.(server).Start(s.t)
	if s.rabbit != nil {
		s.rabbit.consume(s)
	}
	s.proxies(pass)
}

func (s *scene) holdAll() {
	for _, r := range s.rigs {
		release, err := r.app.hold(s.t.Context())
		if err != nil {
			s.t.Fatalf("%s: hold every connection: %v", r.label, err)
		}
		s.release = append(s.release, release)
	}
}

func (s *scene) releaseAll() {
	for _, release := range s.release {
		release()
	}
}

// must fails the scene if err is not nil.
func (s *scene) must(err error, what string, args ...any) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%s: %v", fmt.Sprintf(what, args...), err)
	}
}
