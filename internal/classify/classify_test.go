package classify_test

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

	"github.com/echo-probes/echohealth/internal/classify"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
)

type sqlError string

func (e sqlError) Error() string    { return "server said " + string(e) }
func (e sqlError) SQLState() string { return string(e) }

type redisError string

func (e redisError) Error() string { return string(e) }
func (e redisError) RedisError()   {}

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
		{sqlError("XX000"), "failed"},
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
		{redisError("ERR something new"), "failed"},
		{fmt.Errorf("redis: all sentinels specified in configuration are unreachable: %w", redisError("redis: nil")), "not_found"},

		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "tls_error"},
		{x509.HostnameError{Certificate: &x509.Certificate{}, Host: "db"}, "tls_error"},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, "tls_error"},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: bad certificate")}, "tls_error"},
		{errors.New("tls error: server refused TLS connection"), "tls_error"},

		{&net.DNSError{Err: "no such host", Name: "db", IsNotFound: true}, "host_not_found"},
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

		{&fs.PathError{Op: "statfs", Path: "/data", Err: syscall.ENOENT}, "not_found"},
		{&fs.PathError{Op: "open", Path: "/data", Err: syscall.EACCES}, "permission_denied"},

		{errors.New("sql: database is closed"), "client_closed"},
		{errors.New("closed pool"), "client_closed"},
		{errors.New("redis: client is closed"), "client_closed"},
		{errors.New("redis: connection pool timeout"), "pool_saturated"},
		{fmt.Errorf("query %s: %w", strings.Repeat("x", 1<<20), errors.New("sql: database is closed")), "client_closed"},
		{fmt.Errorf("%w: %s", errors.New("sql: database is closed"), strings.Repeat("x", 1<<20)), "client_closed"},

		// The order: what one host's server said explains more than that another host was silent.
		{errors.Join(dialError(syscall.ECONNREFUSED), sqlError("28P01")), "authentication_failed"},
		{errors.Join(context.DeadlineExceeded, dialError(syscall.ECONNREFUSED)), "connection_refused"},
	}
	for _, test := range tests {
		assert.Equal(t, test.want, classify.Reason(test.err), "%v", test.err)
	}
}

type panics struct{ text string }

func (p *panics) Error() string { return p.text }

func TestText(t *testing.T) {
	assert.Equal(t, "", classify.Text(nil))
	assert.Equal(t, "redis://:***@cache", classify.Text(errors.New("redis://:s3cret@cache")))
	assert.Equal(t, "an error of type *classify_test.panics, whose Error method panics", classify.Text((*panics)(nil)))
}
