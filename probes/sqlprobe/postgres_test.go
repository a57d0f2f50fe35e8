package sqlprobe_test

import (
	"strings"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/sqlprobe"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The probe's query succeeds in every mode of pgx, whatever statements other clients have prepared on the
// connection that PgBouncer assigns.
func TestEveryExecModeBehindPgBouncer(t *testing.T) {
	bouncer := testserver.NewPgBouncer(t, testserver.SharedPostgres(t), "default_pool_size = 1")
	for _, mode := range []string{"cache_statement", "cache_describe", "describe_exec", "exec", "simple_protocol"} {
		t.Run(mode, func(t *testing.T) {
			var checks []*sqlprobe.Probe
			for range 2 {
				checks = append(checks, newProbe(t, open(t, bouncer.DSN()+"&default_query_exec_mode="+mode)))
			}
			for range 3 {
				for _, probe := range checks { // the other probe's statement is prepared on the connection
					assertResult(t, probe.Check(t.Context()), probes.OK, "")
				}
				bouncer.Admin(t, "RECONNECT app;") // no statement is prepared on the connection
			}
		})
	}
}

// An error of PgBouncer has the same reason as the error of PostgreSQL in the same situation.
func TestPgBouncerRefuses(t *testing.T) {
	bouncer := testserver.NewPgBouncer(t, testserver.SharedPostgres(t), "max_client_conn = 2")
	for _, test := range []struct {
		old, new string
		want     probes.Reason
	}{
		{"app-secret", "wrong", probes.ReasonAuthenticationFailed},
		{"/app?", "/nothing?", probes.ReasonNotFound},
		{"?", "?statement_timeout=9&", probes.ReasonMisconfigured},
	} {
		probe := newProbe(t, open(t, strings.Replace(bouncer.DSN(), test.old, test.new, 1)))
		assertResult(t, probe.Check(t.Context()), probes.Error, test.want)
	}
	db := open(t, bouncer.DSN())
	db.SetMaxOpenConns(2)
	require.Eventually(t, func() bool { return db.Ping() == nil }, 10*time.Second, time.Millisecond)
	probe := newProbe(t, db)
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
	bouncer.Admin(t, "SET query_wait_timeout = 1; PAUSE app;")
	assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonTimeout)
	bouncer.Admin(t, "SET query_wait_timeout = 120; RESUME app;")
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
	release := take(t, db, 2)
	assertResult(t, newProbe(t, open(t, bouncer.DSN())).Check(t.Context()), probes.Error,
		probes.ReasonTooManyConnections)
	assertResult(t, probe.Check(t.Context()), probes.Warning, probes.ReasonPoolSaturated)
	release()
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
}

// If only one of several hosts answers, the result depends on its answer.
func TestOnlyAStandbyIsLeft(t *testing.T) {
	primary := testserver.NewPostgres(t)
	standby := primary.Standby(t)
	db := open(t, "postgres://app:app-secret@"+primary.Addr()+","+standby.Addr()+
		"/app?sslmode=disable&target_session_attrs=read-write")
	probe := newProbe(t, db)
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
	primary.Stop(t)
	assertResult(t, probe.Check(t.Context()), probes.Error, probes.ReasonReadOnly)
	standby.Promote(t)
	assertResult(t, probe.Check(t.Context()), probes.OK, "")
}

// The connection string names a certificate file that does not exist.
func TestMissingRootCertificate(t *testing.T) {
	db := open(t, "postgres://app:app-secret@127.0.0.1/app?sslmode=verify-full&sslrootcert=/missing/ca.pem")
	result := newProbe(t, db).Check(t.Context())
	assertResult(t, result, probes.Error, probes.ReasonMisconfigured)
	assert.NotContains(t, result.Err.Error(), "secret")
}
