package soak_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/testserver"
)

// The names of the checks.
const (
	pgxCheck    = "database"
	sqlCheck    = "sql"
	redisCheck  = "redis"
	listsCheck  = "celery-redis"
	amqpCheck   = "amqp"
	celeryCheck = "celery"
)

// victims are the servers.
type victims struct {
	postgres *testserver.Postgres
	redis    *testserver.Redis
	rabbit   *testserver.RabbitMQ
	all      []*victim
}

// victim is a server that has one fault after the other.
type victim struct {
	name   string
	server server
	checks []string   // the checks of this server
	random *rand.Rand // its own, so that its faults don't depend on the others

	state state
	due   time.Time // the time of the next action
	fault fault     // the fault as long as the server is down
}

// server contains the actions of the test on a server.
type server interface {
	Start(testing.TB)
	Kill(testing.TB)
	Freeze(testing.TB)
	Thaw(testing.TB)
}

type state int

const (
	well       state = iota
	down             // until the fault is ended
	recovering       // the fault has ended, but not all checks are ok
	left             // no further faults, because the time is over
)

// fault is a way to break and repair a server.
type fault struct {
	name        string
	begin, mend func(server, testing.TB)
}

var faults = []fault{
	{name: "killed", begin: server.Kill, mend: server.Start},
	{name: "frozen", begin: server.Freeze, mend: server.Thaw},
}

// How long a victim stays up, and how long it stays down. It stays down for longer than its checks need to
// detect it.
var (
	wellFor = span{time.Second, 4 * time.Second}
	downFor = span{toRed + time.Second, toRed + 10*time.Second}
)

type span struct{ shortest, longest time.Duration }

func (s span) pick(random *rand.Rand) time.Duration {
	return s.shortest + time.Duration(random.Int64N(int64(s.longest-s.shortest)))
}

func startVictims(t *testing.T, seed uint64) *victims {
	t.Helper()
	v := &victims{postgres: testserver.NewPostgres(t), redis: testserver.NewRedis(t), rabbit: testserver.NewRabbitMQ(t)}
	v.all = []*victim{
		{name: "PostgreSQL", server: v.postgres, checks: []string{pgxCheck, sqlCheck}},
		{name: "Redis", server: v.redis, checks: []string{redisCheck, listsCheck}},
		{name: "RabbitMQ", server: v.rabbit, checks: []string{amqpCheck, celeryCheck}},
	}
	for i, victim := range v.all {
		victim.random = rand.New(rand.NewPCG(seed, uint64(i)))
	}
	return v
}

// torment breaks and repairs the victims until the given time, and returns when all of them are up. It runs
// one action after the other, because only the test's own goroutine may control servers. So the faults of the
// other servers last longer while RabbitMQ starts.
func torment(t *testing.T, v *victims, j *judge, until time.Time) {
	t.Helper()
	for _, victim := range v.all {
		victim.enter(well, wellFor.pick(victim.random))
	}
	for {
		next := v.next()
		if next == nil {
			return
		}
		time.Sleep(time.Until(next.due))
		next.act(t, j, until)
	}
}

// next returns the victim with the next action, or nil if no action is left.
func (v *victims) next() *victim {
	var next *victim
	for _, victim := range v.all {
		if victim.state != left && (next == nil || victim.due.Before(next.due)) {
			next = victim
		}
	}
	return next
}

func (v *victim) enter(s state, stay time.Duration) {
	v.state, v.due = s, time.Now().Add(stay)
}

func (v *victim) act(t *testing.T, j *judge, until time.Time) {
	t.Helper()
	switch {
	case v.state == well && time.Now().Before(until):
		v.strike(t, j)
		v.enter(down, downFor.pick(v.random))
	case v.state == well:
		v.enter(left, 0)
	case v.state == down:
		v.mend(t, j)
		v.enter(recovering, 0)
	case len(j.missing(v.checks)) == 0:
		v.enter(well, wellFor.pick(v.random))
	default:
		j.requireSoon(t, v)
		v.enter(recovering, 50*time.Millisecond)
	}
}

func (v *victim) strike(t *testing.T, j *judge) {
	t.Helper()
	v.fault = faults[v.random.IntN(len(faults))]
	t.Logf("at %.1f s %s is %s", time.Since(epoch).Seconds(), v.name, v.fault.name)
	j.breaks(v.checks, v.fault.name)
	v.fault.begin(v.server, t)
	j.isDown(v.checks)
}

func (v *victim) mend(t *testing.T, j *judge) {
	t.Helper()
	j.mends(v.checks)
	v.fault.mend(v.server, t)
	j.isUp(v.checks)
}
