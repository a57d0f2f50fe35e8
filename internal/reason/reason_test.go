package reason_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
)

type sqlError string

func (e sqlError) Error() string    { return "server said " + string(e) }
func (e sqlError) SQLState() string { return string(e) }

// loginTrigger has the form of pgx's error for a login that a trigger refuses.
type loginTrigger struct{}

func (loginTrigger) Error() string    { return "FATAL: not at night (SQLSTATE P0001)" }
func (loginTrigger) SQLState() string { return "P0001" }

// poolerError is an error of PgBouncer.
type poolerError string

func (e poolerError) Error() string    { return "FATAL: " + string(e) + " (SQLSTATE 08P01)" }
func (e poolerError) SQLState() string { return "08P01" }

type redisError string

func (e redisError) Error() string { return string(e) }
func (e redisError) RedisError()   {}

type timeoutError struct{}

func (timeoutError) Error() string   { return "too late" }
func (timeoutError) Timeout() bool   { return true }
func (timeoutError) Temporary() bool { return true }

func dialError(err error) error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
}

func TestReason(t *testing.T) {
	tests := []struct {
		err  error
		want probes.Reason
	}{
		{nil, ""},
		{errors.New("anything"), "failed"},
		{context.Canceled, "failed"},

		{probes.Fail("quota_exhausted", io.EOF), "quota_exhausted"},
		{fmt.Errorf("orders: %w", probes.Warn("backlog", nil)), "backlog"},
		{probes.Fail("", io.EOF), "connection_lost"},
		{probes.Fail("Not A Word", nil), "failed"},

		{sqlError("28P01"), "authentication_failed"},
		{sqlError("28000"), "authentication_failed"},
		{sqlError("42501"), "permission_denied"},
		{sqlError("3D000"), "not_found"},
		{sqlError("53300"), "too_many_connections"},
		{sqlError("53100"), "out_of_resources"},
		{sqlError("25006"), "read_only"},
		{sqlError("57P03"), "dependency_starting"},
		{sqlError("57014"), "timeout"},
		{sqlError("08006"), "connection_lost"},
		{sqlError("3F000"), "not_found"},
		{sqlError("42P01"), "not_found"},
		{sqlError("42704"), "misconfigured"},
		{sqlError("55000"), "dependency_starting"},
		{sqlError("55P03"), "timeout"},
		{sqlError("57P01"), "dependency_starting"},
		{sqlError("57P02"), "dependency_starting"},
		{sqlError("57P05"), "connection_lost"},
		{sqlError("57P04"), "not_found"},
		{sqlError("25P03"), "connection_lost"},
		{sqlError("25P04"), "timeout"},
		{sqlError("0A000"), "misconfigured"},
		{sqlError("22023"), "misconfigured"},
		{sqlError("26000"), "misconfigured"},
		{sqlError("42P05"), "misconfigured"},
		{sqlError("42601"), "misconfigured"},
		{sqlError("42883"), "misconfigured"},
		{sqlError("55P02"), "misconfigured"},
		{sqlError("F0000"), "misconfigured"},
		{sqlError("53400"), "out_of_resources"},
		{sqlError("58030"), "out_of_resources"},
		{sqlError("58P01"), "out_of_resources"},
		{sqlError("XX000"), "failed"},
		{sqlError("XX001"), "failed"},
		{sqlError("40001"), "failed"},
		{sqlError("P0001"), "failed"},
		{loginTrigger{}, "permission_denied"},
		{sqlError(""), "failed"},

		{redisError("WRONGPASS invalid username-password pair"), "authentication_failed"},
		{redisError("NOPERM this user has no permissions"), "permission_denied"},
		{redisError("READONLY You can't write against a read only replica."), "read_only"},
		{redisError("OOM command not allowed"), "out_of_resources"},
		{redisError("LOADING Redis is loading"), "dependency_starting"},
		{redisError("MOVED 15495 127.0.0.1:7003"), "misconfigured"},
		{redisError("ERR DB index is out of range"), "not_found"},
		{redisError("ERR max number of clients reached"), "too_many_connections"},
		{redisError("ERR This instance has cluster support disabled"), "misconfigured"},
		{redisError("NOAUTH Authentication required."), "authentication_failed"},
		{redisError("DENIED Redis is running in protected mode"), "permission_denied"},
		{redisError("MISCONF Redis is configured to save RDB snapshots"), "out_of_resources"},
		{redisError("NOREPLICAS Not enough good replicas to write."), "out_of_resources"},
		{redisError("CLUSTERDOWN The cluster is down"), "dependency_starting"},
		{redisError("MASTERDOWN Link with MASTER is down"), "dependency_starting"},
		{redisError("BUSY Redis is busy running a script."), "dependency_starting"},
		{redisError("TRYAGAIN Multiple keys request during rehashing of slot"), "dependency_starting"},
		{redisError("ASK 15495 127.0.0.1:7003"), "misconfigured"},
		{redisError("WRONGTYPE Operation against a key"), "misconfigured"},
		{redisError("ERR unknown command 'auth', with args beginning with: 's3cret'"), "misconfigured"},
		{redisError("ERR invalid password"), "authentication_failed"},
		{redisError("ERR AUTH <password> called without any password configured"), "authentication_failed"},
		{redisError("ERR something new"), "failed"},
		{fmt.Errorf("redis: all sentinels specified in configuration are unreachable: %w", redisError("redis: nil")), "not_found"},

		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "tls_error"},
		{x509.HostnameError{Certificate: &x509.Certificate{}, Host: "db"}, "tls_error"},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, "tls_error"},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}, "tls_error"},
		{errors.New("tls error: server refused TLS connection"), "tls_error"},

		{errors.New("pq: SSL is not enabled on the server"), "tls_error"},
		{errors.New("http: server gave HTTP response to HTTPS client"), "tls_error"},

		{&net.DNSError{Err: "no such host", Name: "db", IsNotFound: true}, "host_not_found"},
		{&net.DNSError{Err: "no such host", Name: "db"}, "host_not_found"},
		{&net.DNSError{Err: "i/o timeout", Name: "db", IsTimeout: true}, "timeout"},
		{&net.DNSError{Err: "server misbehaving", Name: "db", IsTemporary: true}, "unreachable"},
		{&net.DNSError{Err: "read udp: connection refused", Name: "db", IsTemporary: true}, "unreachable"},
		{&net.DNSError{Err: "no such host", Name: "db", IsNotFound: true, IsTemporary: true}, "host_not_found"},
		{&net.DNSError{Err: "dial udp: socket: too many open files", Name: "db", IsTemporary: true}, "out_of_resources"},
		{&net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "server misbehaving", Name: "db", IsTemporary: true}}, "unreachable"},
		{dialError(syscall.ECONNREFUSED), "connection_refused"},
		{&net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.ENOENT)}, "connection_refused"},
		{&net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EACCES)}, "permission_denied"},
		{dialError(syscall.EHOSTUNREACH), "unreachable"},
		{dialError(syscall.EHOSTDOWN), "unreachable"},
		{dialError(syscall.ENETUNREACH), "unreachable"},
		{dialError(syscall.ENETDOWN), "unreachable"},
		{dialError(syscall.ECONNABORTED), "connection_lost"},
		{dialError(syscall.EPIPE), "connection_lost"},
		{dialError(syscall.Errno(10061)), "connection_refused"},
		{dialError(syscall.Errno(10053)), "connection_lost"},
		{dialError(syscall.Errno(10054)), "connection_lost"},
		{dialError(syscall.Errno(10050)), "unreachable"},
		{dialError(syscall.Errno(10051)), "unreachable"},
		{dialError(syscall.Errno(10064)), "unreachable"},
		{dialError(syscall.Errno(10065)), "unreachable"},
		{dialError(syscall.Errno(10060)), "timeout"},
		{dialError(syscall.Errno(10024)), "out_of_resources"},
		{dialError(syscall.Errno(10049)), "out_of_resources"},
		{dialError(syscall.Errno(10055)), "out_of_resources"},
		{&net.OpError{Op: "read", Net: "unix", Err: os.NewSyscallError("read", syscall.ENOENT)}, "not_found"},
		{dialError(syscall.ETIMEDOUT), "timeout"},
		{&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.EMFILE)}, "out_of_resources"},
		{&net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("socket", syscall.ENFILE)}, "out_of_resources"},
		{dialError(syscall.EADDRNOTAVAIL), "out_of_resources"},
		{dialError(syscall.ENOBUFS), "out_of_resources"},
		{dialError(syscall.ENOMEM), "out_of_resources"},
		{&fs.PathError{Op: "open", Path: "/proc/stat", Err: syscall.EMFILE}, "out_of_resources"},
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, "connection_lost"},
		{io.EOF, "connection_lost"},
		{fmt.Errorf("receive: %w", io.ErrUnexpectedEOF), "connection_lost"},
		{driver.ErrBadConn, "connection_lost"},
		{&net.OpError{Op: "read", Err: net.ErrClosed}, "connection_lost"},

		{context.DeadlineExceeded, "timeout"},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, "timeout"},
		{&net.OpError{Op: "read", Err: timeoutError{}}, "timeout"},
		{errors.Join(&net.OpError{Op: "read", Err: errors.New("x")}, context.DeadlineExceeded), "timeout"},
		{errors.Join(&net.OpError{Op: "read", Err: errors.New("x")}, os.ErrDeadlineExceeded), "timeout"},

		{&fs.PathError{Op: "statfs", Path: "/data", Err: syscall.ENOENT}, "not_found"},
		{&fs.PathError{Op: "open", Path: "/data", Err: syscall.EACCES}, "permission_denied"},

		{fmt.Errorf("cannot parse `host=db`: failed to configure TLS (unable to read CA file: %w)",
			&fs.PathError{Op: "open", Path: "/ca.pem", Err: syscall.ENOENT}), "misconfigured"},
		{errors.Join(dialError(syscall.ECONNREFUSED), errors.New("ValidateConnect failed: read only connection")),
			"read_only"},
		{errors.Join(errors.New("server is in standby mode"), context.DeadlineExceeded), "read_only"},
		{errors.Join(sqlError("28P01"), errors.New("read only connection")), "authentication_failed"},

		{errors.New("sql: database is closed"), "client_closed"},
		{errors.New("closed pool"), "client_closed"},
		{errors.New("redis: client is closed"), "client_closed"},
		{errors.New("redis: connection pool timeout"), "pool_saturated"},
		{errors.New("redis: connection pool exhausted"), "pool_saturated"},
		{fmt.Errorf("query %s: %w", strings.Repeat("x", 1<<20), errors.New("sql: database is closed")), "client_closed"},
		{fmt.Errorf("%w: %s", errors.New("sql: database is closed"), strings.Repeat("x", 1<<20)), "client_closed"},

		// The answer of a host's server has a higher rank than the timeout of another host.
		{errors.Join(dialError(syscall.ECONNREFUSED), sqlError("28P01")), "authentication_failed"},
		{errors.Join(context.DeadlineExceeded, dialError(syscall.ECONNREFUSED)), "connection_refused"},
	}
	for _, test := range tests {
		assert.Equal(t, test.want, reason.Of(test.err), "%v", test.err)
	}
}

// An invalid certificate of a host has a higher rank than a refused connection to another host.
func TestReasonOfTLSComesFirst(t *testing.T) {
	for _, err := range []error{
		&tls.CertificateVerificationError{Err: io.EOF}, tls.RecordHeaderError{}, tls.AlertError(42),
		x509.UnknownAuthorityError{}, x509.HostnameError{Certificate: &x509.Certificate{}}, x509.CertificateInvalidError{},
	} {
		joined := errors.Join(dialError(syscall.ECONNREFUSED), err)
		assert.Equal(t, probes.ReasonTLSError, reason.Of(joined), "%v", joined)
	}
}

// These are texts that PgBouncer 1.18 to 1.25 sends to its clients, and texts of PostgreSQL that 1.18 passes
// on.
func TestReasonOfPooler(t *testing.T) {
	tests := map[probes.Reason][]string{
		probes.ReasonAuthenticationFailed: {
			"SASL authentication failed", "password authentication failed", "PAM authentication failed",
			"LDAP authentication failed", `"trust" authentication failed`, "certificate authentication failed",
			"no such user", "login rejected", "unix socket login rejected", "empty password returned by client",
			"client selected an invalid SASL authentication mechanism", "password too long", "username too long", "no username supplied",
			`password authentication failed for user "app"`, `role "app" is not permitted to log in`,
			`role "app" does not exist`, `no pg_hba.conf entry for host "10.0.0.1", user "app"`,
			"server login failed: wrong password type",
			`server login has been failing, cached error: FATAL: password authentication failed for user "app"`,
		},
		probes.ReasonTooManyConnections: {
			"no more connections allowed (max_client_conn)",
			"client connections exceeded (max_db_client_connections)",
			"client connections exceeded (max_user_client_connections)",
			"sorry, too many clients already", `too many connections for role "app"`,
			`too many connections for database "app"`,
			"remaining connection slots are reserved for non-replication superuser connections",
		},
		probes.ReasonNotFound: {"no such database: role", `database "app" does not exist`},
		probes.ReasonMisconfigured: {
			"bouncer config error", "unsupported startup parameter: statement_timeout",
			"unsupported startup parameter in options: statement_timeout",
			"unsupported options startup parameter: only '-c config=val' and '--config=val' are allowed",
			"transaction blocks not allowed in statement pooling mode", "PQexec disallowed",
			"prepared statement name is already in use", "prepared statement did not exist",
			"auth_ldap_options is null", "no authentication method is found", "ldap is not supported by this build",
		},
		probes.ReasonTimeout: {
			"query_wait_timeout", "query_timeout", "client_login_timeout", "query timeout",
			"idle transaction timeout", "transaction timeout",
		},
		probes.ReasonUnreachable: {
			"server login has been failing, try again later (server_login_retry)",
			"server login has been failing, cached error: connect failed (server_login_retry)",
			"client_login_timeout (server down)",
		},
		probes.ReasonDependencyStarting: {
			"pooler is shutting down", "server shutting down", `database "app" is disabled`,
			"the database system is starting up", `database "app" is not currently accepting connections`,
		},
		probes.ReasonOutOfResources: {
			"bouncer resources exhaustion", "no memory for pool", "no memory for authentication pool", "out of memory",
		},
		probes.ReasonPermissionDenied: {"not allowed", `permission denied for database "app"`},
		probes.ReasonTLSError:         {"SSL required"},
		probes.ReasonConnectionLost: {
			"client_idle_timeout", "suspend_timeout", "server conn crashed?", "admin forced disconnect",
			"server lifetime over", "database configuration changed", "invalid message format",
		},
	}
	for want, texts := range tests {
		for _, text := range texts {
			assert.Equal(t, want, reason.Of(poolerError(text)), text)
		}
	}
}
