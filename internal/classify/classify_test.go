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
	"github.com/stretchr/testify/require"
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

func TestMask(t *testing.T) {
	tests := []struct{ in, want string }{
		{"dial amqp://app:s3cret@rabbit:5672/vh: refused", "dial amqp://app:***@rabbit:5672/vh: refused"},
		{"clientSecret: 's3cret', x-signature: s3cret", "clientSecret: ***, x-signature: ***"},
		{"tls: -----BEGIN RSA PRIVATE KEY-----\ns3cret\ns3cret\n-----END RSA PRIVATE KEY-----\n: bad", "tls: -----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----\n: bad"},
		{`"key": "-----BEGIN PRIVATE KEY-----\ns3cret`, `"key": "-----BEGIN PRIVATE KEY-----***`},
		{"private_key=-----BEGIN EC PRIVATE KEY-----\ns3cret\n-----END EC PRIVATE KEY-----", "private_key=*** EC PRIVATE KEY-----***-----END EC PRIVATE KEY-----"},
		{"postgres://app:s3/c?r#e@t@db:5432/app", "postgres://app:***@db:5432/app"},
		{"redis://:s3cret@cache:6379/0", "redis://:***@cache:6379/0"},
		{"redis://:s3cret@[::1]:6379/0", "redis://:***@[::1]:6379/0"},
		{"amqp://a:s3cret@h1;amqp://b:s3cret@h2", "amqp://a:***@h2"},
		{"amqp://a:s3cret@h1, amqp://b:s3cret@h2", "amqp://a:***@h1, amqp://b:***@h2"},
		{`parse "amqp://app:my s3cret\"@h:bad/": invalid port ":bad" after host`, `parse "amqp://app:***": invalid port "***" after host`},
		{`broker "amqp://app:my s3cret@h:5672/" is down`, `broker "amqp://app:***@h:5672/" is down`},
		{`broker "amqp://app:s3"cret@h:5672/" is down`, `broker "amqp://app:***@h:5672/" is down`},
		{`broker "amqp://app:s3", cret@h:5672/" is down`, `broker "amqp://app:***@h:5672/" is down`},
		{`broker 'amqp://app:s3'cret@h:5672/' is down`, `broker 'amqp://app:***@h:5672/' is down`},
		{`{"url":"amqp://app:s3\"cret@h/","n":1}`, `{"url":"amqp://app:***@h/","n":1}`},
		{"dial amqp://app:my s3cret@h/: refused", "dial amqp://app:***@h/: refused"},
		{`amqp://a"p:s3cret@h`, `amqp://a"p:***@h`},
		{`invalid port ":s3cret" after host`, `invalid port "***" after host`},
		{`invalid URL escape "%s3cret"`, `invalid URL escape "***"`},
		{`parse "1app:s3cret@h": first path segment in URL cannot contain colon`, `parse "***@h": first path segment in URL cannot contain colon`},
		{`cannot parse "s3cret@127.0.0.1:5432/appdb"`, `cannot parse "***@127.0.0.1:5432/appdb"`},

		{"app:s3cret@tcp(127.0.0.1:3306)/app", "app:***@tcp(127.0.0.1:3306)/app"},
		{"app:s3@c/r:et@tcp(127.0.0.1:3306)/app", "app:***@tcp(127.0.0.1:3306)/app"},
		{"dsn app:s3cret@unix(/run/mysqld.sock)/app: refused", "dsn app:***@unix(/run/mysqld.sock)/app: refused"},
		{"root:s3cret@/app", "root:***@/app"},
		{"root:s3cret@(db)/app", "root:***@(db)/app"},
		{"root:s3cret@tcp(db)", "root:***@tcp(db)"},
		{"root:s3cret@cloud+sql-tcp(db)", "root:***@cloud+sql-tcp(db)"},

		{"host=db password=s3cret user=app", "host=db password=*** user=app"},
		{"host=db password='s3 cret' user=app", "host=db password=*** user=app"},
		{"host=db password='s3''cret' user=app", "host=db password=*** user=app"},
		{`host=db password=s3\ cret user=app`, "host=db password=*** user=app"},
		{"password=\ns3cret\nuser=app", "password=\n***\nuser=app"},
		{"password: \r\n\ts3cret user", "password: \r\n\t*** user"},
		{"password = s3cret", "password = ***"},
		{"password==s3cret", "password=***"},
		{`password => "s3 cret", user`, `password =***, user`},
		{`password := "s3 cret"`, `password :***`},
		{"sslpassword=s3cret", "sslpassword=***"},
		{"DB_PASSWORD_2=s3cret DB_PASS=s3cret", "DB_PASSWORD_2=*** DB_PASS=***"},
		{"Server=db;Password=s3;cret;User Id=app", "Server=db;Password=*** Id=app"},
		{"https://api/x?api_key=s3cret", "https://api/x?api_key=***"},
		{"{User:app Password:s3cret Token:s3cret}", "{User:app Password:*** Token:***"},
		{"client_secret: s3cret", "client_secret: ***"},
		{"X-Auth-Token: s3cret", "X-Auth-Token: ***"},
		{"password=password=s3cret", "password=***"},

		{`{"password":"s3cret","user":"app"}`, `{"password":***,"user":"app"}`},
		{`{"token":"s3cret"}`, `{"token":***}`},
		{`{"secret": "s3 cret", "n": 1}`, `{"secret": ***, "n": 1}`},
		{`{"api_key" : "s3\"cret"}`, `{"api_key" : ***}`},
		{`{"accessToken":"s3cret","clientSecret":"s3cret"}`, `{"accessToken":***,"clientSecret":***}`},
		{`{"authorization":"Bearer s3cret"}`, `{"authorization":***}`},
		{`{"Authorization":["Bearer s3cret"],"n":1} x`, `{"Authorization":*** x`},
		{`{'secret': 's3cret', 'n': 1}`, `{'secret': ***, 'n': 1}`},
		{`body "{\"token\":\"s3 c\\\"ret\",\"n\":1}"`, `body "{\"token\":***,\"n\":1}"`},
		{`password={"password": "s3cret"}`, `password=*** ***}`},
		{`password="amqp://app:s3" x password="y s3"`, `password=*** x password=***`},

		{"Authorization: Bearer s3creTs3creT", "Authorization: Bearer ***"},
		{"Authorization: Bearer s3", "Authorization: Bearer ***"},
		{"authorization:basic s3=", "authorization:basic ***"},
		{"Authorization: SSWS s3cret", "Authorization: ***"},
		{"Authorization: s3cret", "Authorization: ***"},
		{"map[Authorization:[Bearer s3cret] Accept:[x]]", "map[Authorization:[Bearer *** Accept:[x]]"},
		{"refused: bearer s3creTs3creT", "refused: bearer ***"},
	}
	for _, test := range tests {
		got := classify.Mask(test.in)
		assert.Equal(t, test.want, got)
		assert.NotContains(t, got, "s3")
		assert.NotContains(t, got, "cret@")
	}
}

// What is no secret stays readable.
func TestMaskLeavesProse(t *testing.T) {
	for _, text := range []string{
		"", "nothing to hide", "worker celery@host is silent", "the mail to bob@example.com bounced",
		`failed SASL auth: FATAL: password authentication failed for user "app" (SQLSTATE 28P01)`,
		"invalid character '}' looking for beginning of value: unexpected token: x", `secret "db" not found`, "secret: not found",
		`Get "http://billing:8080/healthz": dial tcp: lookup billing: no such host, see "a@b"`,
		"http://billing:8080/healthz answered 503", "https://bob@billing/healthz", `["http://h:80","a@b"]`, `{"url":"http://h","mail":"a@b"}`,
		"basic authentication failed", "BearerToken: a token is not empty", "a bearer of news", "compass: north", "tokens: 5",
		"goroutine 7 [running]:\nmain.main()\n\t/root/go/pkg/mod/example.com/x@v1.2.3/main.go:12 +0x1d", "C:/go/pkg/mod/example.com/x@v1.2.3/main.go:12",
		"dial tcp [::1]:5432: connect: connection refused", "connected as root@tcp(db) to root@/app", "npm ERR! @scope/name",
		"NOAUTH Authentication required.", "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.",
		"x=1; y:2", "://", "a://b:", "a://:", "@", "=", ":", `"`,
	} {
		assert.Equal(t, text, classify.Mask(text))
	}
}

func TestMaskCuts(t *testing.T) {
	const mark = "… (cut)"
	assert.Equal(t, strings.Repeat("x", 8<<10), classify.Mask(strings.Repeat("x", 8<<10)))
	assert.Equal(t, strings.Repeat("x", 8<<10)+mark, classify.Mask(strings.Repeat("x", 8<<10+1)), "a word without an end too")
	assert.Equal(t, "x"+strings.Repeat("ä", 4<<10-1)+mark, classify.Mask("x"+strings.Repeat("ä", 8<<10)), "no half of a character")
	assert.Equal(t, "password=***"+mark, classify.Mask("password="+strings.Repeat("s3cret", 1<<20)))
	huge := classify.Mask(strings.Repeat("amqp://app:s3cret@host ", 1<<20))
	assert.LessOrEqual(t, len(huge), 8<<10+len(mark))
	assert.NotContains(t, huge, "s3")
}

// Wherever a text is cut, nothing of a secret is left at its end.
func TestMaskAtTheCut(t *testing.T) {
	for _, secret := range []string{
		"amqp://app:s3crets3cret@host/", "dsn root:s3crets3cret@/app", "password='s3cret s3cret'", `{"token":"s3crets3cret"}`,
		`"amqp://app:s3cret s3cret@host/"`, "Authorization: Bearer s3crets3cret", "cannot parse s3crets3cret@host:1",
	} {
		for _, limit := range []int{8 << 10, 16 << 10} {
			for at := limit - len(secret) - 4; at < limit+4; at++ {
				got := classify.Mask(strings.Repeat(" ", at) + secret + strings.Repeat(" ", 16<<10))
				require.NotContains(t, got, "s3", "%s at %d", secret, at)
			}
			got := classify.Mask("password=" + strings.Repeat("x", limit-len(secret)/2) + " " + secret + strings.Repeat(" ", 16<<10))
			require.NotContains(t, got, "s3", secret)
		}
	}
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

// planted are the forms in which FuzzMask hides a password, which stands for %s.
var planted = []string{
	"amqp://app:%s@host:5672/vhost", "redis://:%s@host", `"postgres://app:%s@host/app"`, "app:%s@tcp(host:3306)/app", "root:%s@/app", "root:%s@(host)",
	"password=%s ", "password='%s'", "PASSWORD = %s\n", "password:\n%s\n", "db_pass=%s ", "token=%s ", "?api_key=%s ", `"password":"%s"`, `"token": "%s"`,
	`"client_secret":"%s"`, `\"api_key\":\"%s\"`, "'secret': '%s'", "Authorization: Bearer %s\n", `"authorization":"Bearer %s"`, " Bearer %s\n",
	`parse "amqp://app:%s@host": invalid`, `invalid port ":%s" after host`, "%s@host:5672/",
}

// A password in any of the forms is hidden, whatever is around it.
func FuzzMask(f *testing.F) {
	for i, form := range planted {
		f.Add("", "", byte(i))
		f.Add(form, form, byte(i))
		f.Add(strings.Repeat("x", 8<<10-20), " ", byte(i))
	}
	for _, around := range []string{"@", "://", "=", `password="`, "password", "a://b:", `"`, `\"`, `\`, "'", "{", "password=", "\x00\xff", "ä", "[", "bearer "} {
		for i := range planted {
			f.Add(around, around, byte(i))
		}
	}
	f.Fuzz(func(t *testing.T, before, after string, form byte) {
		const password = "s3cret-Pa55"
		text := before + fmt.Sprintf(planted[int(form)%len(planted)], password) + after
		masked := classify.Mask(text)
		if strings.Contains(masked, password) && !strings.Contains(before+after, password) {
			t.Errorf("%q is masked as %q", text, masked)
		}
		if len(masked) > 8<<10+len("… (cut)") {
			t.Errorf("%d bytes", len(masked))
		}
		if len(text) > 8<<10 && !strings.HasSuffix(masked, "… (cut)") {
			t.Errorf("%q is cut to %q without saying so", text, masked)
		}
	})
}

// BenchmarkMask has the texts that are the most work: much of them looks like the beginning of a secret.
func BenchmarkMask(b *testing.B) {
	for _, part := range []string{"x", "dial tcp 10.0.0.1:5432: connect: connection refused\n", "a://b:", `"a://b:c`, "password=", `password="`, `"password":"`, "@", "@/", "a:b@/", "=", ": ", "_=",
		`"`, `parse "`, `invalid port "`, "bearer ", "basic x"} {
		text := `password="` + strings.Repeat(part, 1<<20/len(part))
		b.Run(part, func(b *testing.B) {
			for b.Loop() {
				classify.Mask(text)
			}
		})
	}
}
