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
	"net/url"
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
		{dialError(syscall.ECONNREFUSED), "connection_refused"},
		{&net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.ENOENT)}, "connection_refused"},
		{&net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EACCES)}, "permission_denied"},
		{dialError(syscall.EHOSTUNREACH), "unreachable"},
		{dialError(syscall.ETIMEDOUT), "timeout"},
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

		// The order: what one host's server said explains more than that another host was silent.
		{errors.Join(dialError(syscall.ECONNREFUSED), sqlError("28P01")), "authentication_failed"},
		{errors.Join(context.DeadlineExceeded, dialError(syscall.ECONNREFUSED)), "connection_refused"},
	}
	for _, test := range tests {
		assert.Equal(t, test.want, classify.Reason(test.err), "%v", test.err)
	}
}

func TestMask(t *testing.T) {
	tests := []struct{ in, want string }{
		{"nothing to hide", "nothing to hide"},
		{"dial amqp://app:s3cret@rabbit:5672/vh: refused", "dial amqp://app:***@rabbit:5672/vh: refused"},
		{"postgres://app:s3/c?r#e@t@db:5432/app", "postgres://app:***@db:5432/app"},
		{"redis://:s3cret@cache:6379/0", "redis://:***@cache:6379/0"},
		{"amqp://a:s3cret@h1;amqp://b:s3cret@h2", "amqp://a:***@h2"},
		{`parse "amqp://app:my s3cret\"@h:bad/": invalid port ":bad" after host`, `parse "amqp://app:***": invalid port "***" after host`},
		{`broker "amqp://app:my s3cret@h:5672/" is down`, `broker "amqp://app:***@h:5672/" is down`},
		{`invalid port ":s3cret" after host`, `invalid port "***" after host`},
		{`invalid URL escape "%s3cret"`, `invalid URL escape "***"`},
		{"app:s3cret@tcp(127.0.0.1:3306)/app", "app:***@tcp(127.0.0.1:3306)/app"},
		{`cannot parse "s3cret@127.0.0.1:5432/appdb"`, `cannot parse "***@127.0.0.1:5432/appdb"`},
		{"host=db password=s3cret user=app", "host=db password=*** user=app"},
		{"host=db password='s3 cret' user=app", "host=db password=*** user=app"},
		{"sslpassword=s3cret", "sslpassword=***"},
		{`{"password":"s3cret","user":"app"}`, `{"password":***,"user":"app"}`},
		{"Server=db;Password=s3;cret;User Id=app", "Server=db;Password=*** Id=app"},
		{"https://api/x?api_key=s3cret", "https://api/x?api_key=***"},
		{"Authorization: Bearer s3creTs3creT", "Authorization: Bearer ***"},
		{`failed SASL auth: FATAL: password authentication failed for user "app" (SQLSTATE 28P01)`, `failed SASL auth: FATAL: password authentication failed for user "app" (SQLSTATE 28P01)`},
		{"worker celery@host is silent", "worker celery@host is silent"},
	}
	for _, test := range tests {
		got := classify.Mask(test.in)
		assert.Equal(t, test.want, got)
		assert.NotContains(t, got, "s3")
	}
	long := classify.Mask(strings.Repeat("ä", 8<<10))
	assert.LessOrEqual(t, len(long), 8<<10+len("… (cut)"))
	assert.True(t, strings.HasSuffix(long, "ä… (cut)"))
	huge := classify.Mask(strings.Repeat("amqp://app:s3cret@host ", 1<<20))
	assert.LessOrEqual(t, len(huge), 8<<10+len("… (cut)"))
	assert.NotContains(t, huge, "s3")
}

// The parsers of URLs quote what they could not read, the password too.
func TestMaskURLErrors(t *testing.T) {
	for _, password := range []string{"s3cret", "s3/cret", "s3%cret", "s3?c#ret", "s3 cret", `s3"cret`, "s3@cret", "s3:cret", "s3\x7fcret", "s3[cret"} {
		for _, format := range []string{"amqp://app:%s@host:5672/", "redis://app:%s@host:bad/0", "amqp://app:%s@ho st/"} {
			_, err := url.Parse(fmt.Sprintf(format, password))
			if err != nil {
				assert.NotContains(t, classify.Text(err), "s3", "%q in %q", password, format)
				assert.NotContains(t, classify.Text(err), "cret", "%q in %q", password, format)
			}
		}
	}
}

type panics struct{ text string }

func (p *panics) Error() string { return p.text }

func TestText(t *testing.T) {
	assert.Equal(t, "", classify.Text(nil))
	assert.Equal(t, "redis://:***@cache", classify.Text(errors.New("redis://:s3cret@cache")))
	assert.Equal(t, "an error of type *classify_test.panics, whose Error method panics", classify.Text((*panics)(nil)))
}

func FuzzMask(f *testing.F) {
	for _, seed := range []string{
		"amqp://app:%s@host:5672/vhost", "redis://:%s@host", "password=%s user=app", `"password": "%s"`, "app:%s@tcp(h:1)/db",
		`parse "amqp://app:%s@host:5672/": invalid`, "Authorization: Bearer xxxxxxxx%s", "@", "://", "=", `password="`, "password", "a://b:",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		masked := classify.Mask(text)
		if len(masked) > 8<<10+len("… (cut)") {
			t.Errorf("%d bytes", len(masked))
		}
		// A password between a scheme and a host is hidden, whatever is around it.
		whole := classify.Mask(text + " amqp://app:s3cretpassword@host:5672/")
		if strings.Contains(whole, "s3cretpassword") && len(text) < 4<<10 && !strings.Contains(text, `"`) {
			t.Errorf("%q", whole)
		}
	})
}
