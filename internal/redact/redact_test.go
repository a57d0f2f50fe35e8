package redact_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/echo-probes/echohealth/internal/redact"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// masking is a text, and the same text after masking.
type masking struct{ in, want string }

// checkMasked checks texts whose secrets begin with s3 or end with cret.
func checkMasked(t *testing.T, tests []masking) {
	t.Helper()
	for _, test := range tests {
		got := redact.Text(test.in)
		assert.Equal(t, test.want, got)
		assert.NotContains(t, got, "s3")
		assert.NotContains(t, got, "cret@")
	}
}

// checkUnmasked checks texts without a secret. They must not change.
func checkUnmasked(t *testing.T, texts []string) {
	t.Helper()
	for _, text := range texts {
		assert.Equal(t, text, redact.Text(text))
	}
}

func TestMask(t *testing.T) {
	checkMasked(t, []masking{
		{"dial amqp://app:s3cret@rabbit:5672/vh: refused", "dial amqp://app:***@rabbit:5672/vh: refused"},
		{"clientSecret: 's3cret', x-signature: s3cret", "clientSecret: ***, x-signature: ***"},
		{
			"tls: -----BEGIN RSA PRIVATE KEY-----\ns3cret\ns3cret\n-----END RSA PRIVATE KEY-----\n: bad",
			"tls: -----BEGIN RSA PRIVATE KEY-----***-----END RSA PRIVATE KEY-----\n: bad",
		},
		{`"key": "-----BEGIN PRIVATE KEY-----\ns3cret`, `"key": "-----BEGIN PRIVATE KEY-----***`},
		{
			"private_key=-----BEGIN EC PRIVATE KEY-----\ns3cret\n-----END EC PRIVATE KEY-----",
			"private_key=*** EC PRIVATE KEY-----***-----END EC PRIVATE KEY-----",
		},
		{"postgres://app:s3/c?r#e@t@db:5432/app", "postgres://app:***@db:5432/app"},
		{"https://s3cret@billing/healthz", "https://***@billing/healthz"},
		{"https://s3c@ret@billing", "https://***@billing"},
		{`dial "redis://s3cret@cache/0"`, `dial "redis://***@cache/0"`},
		{"redis://s3cret@cache?db=0", "redis://***@cache?db=0"},
		{
			`parse "redis://s3 c@ret@cache/0": net/url: invalid userinfo`,
			`parse "redis://***@cache/0": net/url: invalid userinfo`,
		},
		{"redis://:s3cret@cache:6379/0", "redis://:***@cache:6379/0"},
		{"redis://:s3cret@[::1]:6379/0", "redis://:***@[::1]:6379/0"},
		{"amqp://a:s3cret@h1;amqp://b:s3cret@h2", "amqp://a:***@h2"},
		{"amqp://a:s3cret@h1, amqp://b:s3cret@h2", "amqp://a:***@h1, amqp://b:***@h2"},
		{
			`parse "amqp://app:my s3cret\"@h:bad/": invalid port ":bad" after host`,
			`parse "amqp://app:***": invalid port "***" after host`,
		},
		{`broker "amqp://app:my s3cret@h:5672/" is down`, `broker "amqp://app:***@h:5672/" is down`},
		{`broker "amqp://app:s3"cret@h:5672/" is down`, `broker "amqp://app:***@h:5672/" is down`},
		{`broker "amqp://app:s3", cret@h:5672/" is down`, `broker "amqp://app:***@h:5672/" is down`},
		{`broker 'amqp://app:s3'cret@h:5672/' is down`, `broker 'amqp://app:***@h:5672/' is down`},
		{`{"url":"amqp://app:s3\"cret@h/","n":1}`, `{"url":"amqp://app:***@h/","n":1}`},
		{"dial amqp://app:my s3cret@h/: refused", "dial amqp://app:***@h/: refused"},
		{`amqp://a"p:s3cret@h`, `amqp://a"p:***@h`},
		{`invalid port ":s3cret" after host`, `invalid port "***" after host`},
		{`invalid URL escape "%s3cret"`, `invalid URL escape "***"`},
		{
			`parse "1app:s3cret@h": first path segment in URL cannot contain colon`,
			`parse "***@h": first path segment in URL cannot contain colon`,
		},
		{`invalid character "s3" in host name`, `invalid character "***" in host name`},
		{`parse "redis://:s3 cret@h": invalid`, `parse "redis://:***": invalid`},
		{`"amqp://app:s3@s3".cret@h/" is down`, `"amqp://app:***@h/" is down`},
		{`x://a:b"amqp://u:s3@c s3@h"`, `x://a:***@h"`},
		{`"Zz90-+.://a:s3 c@h" of bob@x`, `"Zz90-+.://a:***@h" of bob@x`},
		{`"dial \"amqp://app:s3 cret@h\" by bob@x"`, `"dial \"amqp://app:***@h\" by bob@x"`},
		{"amqp://a:123456 s3@h", "amqp://a:***@h"},
		{"amqp://a:99s3 x@h", "amqp://a:***@h"},
		{"redis://s3/cret@h:6379", "redis://***@h:6379"},
		{"s3cret@h:5672/", "***@h:5672/"},
		{"got s3cret@h:0", "got ***@h:0"},
		{`got "s3cret@h:9"`, `got "***@h:9"`},
		{"got s3@cret@h:1", "got ***@h:1"},
		{"can't reach s3cret@[::1]:5432/x", "can't reach ***@[::1]:5432/x"},
		{"password=s3cret at http://h:80/ok", "password=*** at http://h:80/ok"},
		{`cannot parse "s3cret@127.0.0.1:5432/appdb"`, `cannot parse "***@127.0.0.1:5432/appdb"`},

		{"app:s3cret@tcp(127.0.0.1:3306)/app", "app:***@tcp(127.0.0.1:3306)/app"},
		{"app:s3@c/r:et@tcp(127.0.0.1:3306)/app", "app:***@tcp(127.0.0.1:3306)/app"},
		{
			"dsn app:s3cret@unix(/run/mysqld.sock)/app: refused",
			"dsn app:***@unix(/run/mysqld.sock)/app: refused",
		},
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
		{`{"token":"s3\" cret","n":1}`, `{"token":***,"n":1}`},
		{`password="s3"cret" x`, `password=*** x`},
		{`password="s3"\cret" x`, `password=*** x`},
		{`"{\"token\":\"s3\"cret\"}"`, `"{\"token\":***}"`},
		{`{"token":"s3\\","n":1}`, `{"token":***,"n":1}`},
		{`body "\"token\":\"s3 cret\"\nnext"`, `body "\"token\":***\nnext"`},
		{`{"secret": "s3 cret", "n": 1}`, `{"secret": ***, "n": 1}`},
		{`{"api_key" : "s3\"cret"}`, `{"api_key" : ***}`},
		{`{"accessToken":"s3cret","clientSecret":"s3cret"}`, `{"accessToken":***,"clientSecret":***}`},
		{`{"authorization":"Bearer s3cret"}`, `{"authorization":***}`},
		{`{"Authorization":["Bearer s3cret"],"n":1} x`, `{"Authorization":*** x`},
		{`{'secret': 's3cret', 'n': 1}`, `{'secret': ***, 'n': 1}`},
		{`body "{\"token\":\"s3 c\\\"ret\",\"n\":1}"`, `body "{\"token\":***,\"n\":1}"`},
		{`password={"password": "s3cret"}`, `password=***`},
		{`password="amqp://app:s3" x password="y s3"`, `password=*** x password=***`},

		{"Authorization: Bearer s3creTs3creT", "Authorization: Bearer ***"},
		{"Authorization: Bearer s3", "Authorization: Bearer ***"},
		{"authorization:basic s3=", "authorization:basic ***"},
		{"Authorization: SSWS s3cret", "Authorization: ***"},
		{"Authorization: s3cret", "Authorization: ***"},
		{"map[Authorization:[Bearer s3cret] Accept:[x]]", "map[Authorization:[Bearer *** Accept:[x]]"},
		{"refused: bearer s3creTs3creT", "refused: bearer ***"},
		{"refused: bearer s3creT12", "refused: bearer ***"},
		{"refused: bearer secret-token", "refused: bearer ***"},
		{"refused: basic s3creT12", "refused: basic ***"},
	})
}

func TestMaskLeavesProse(t *testing.T) {
	checkUnmasked(t, []string{
		"", "nothing to hide", "worker celery@host is silent", "the mail to bob@example.com bounced",
		`failed SASL auth: FATAL: password authentication failed for user "app" (SQLSTATE 28P01)`,
		"invalid character '}' looking for beginning of value: unexpected token: x", `secret "db" not found`,
		"secret: not found",
		`Get "http://billing:8080/healthz": dial tcp: lookup billing: no such host, see "a@b"`,
		"http://billing:8080/healthz answered 503", `["http://h:80","a@b"]`,
		`{"url":"http://h","mail":"a@b"}`,
		"basic authentication failed", "BearerToken: a token is not empty", "a bearer of news",
		"compass: north", "tokens: 5",
		"goroutine 7 [running]:\nmain.main()\n\t/root/go/pkg/mod/example.com/x@v1.2.3/main.go:12 +0x1d",
		"C:/go/pkg/mod/example.com/x@v1.2.3/main.go:12",
		"dial tcp [::1]:5432: connect: connection refused", "connected as root@tcp(db) to root@/app",
		"npm ERR! @scope/name",
		"NOAUTH Authentication required.",
		"ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN.",
		"https://modules.example/github.com/x/@v/list", "https://h/?mail=bob@example.com", "https://h#bob@x",
		"http://h and bob@x",
		`parse "http://h/@": x`, `parse "a/b": x`, "http://@h", "http://@h:80",
		"http://h:x and http://k and bob@x", "http://h:65439 and bob@x", "http://h:0 and bob@x",
		"secret://vault/db", "compass=north",
		"error: connected as root@tcp(db)", "x:y@ z", "bob@h:x", "bob@h:", "bob@:1", "bob@h:/",
		"bearer news-of", "xbearer abcdefghij",
		"bearerabcdefgh",
		"-----BEGIN CERTIFICATE-----\nabcdefghijklmnopqrstuvwxyz", "x=1; y:2", "://", "a://b:", "a://:", "@",
		"=", ":", `"`,
	})
}

func TestMaskCuts(t *testing.T) {
	const mark = "… (cut)"
	assert.Equal(t, strings.Repeat("x", 8<<10), redact.Text(strings.Repeat("x", 8<<10)))
	assert.Equal(t, strings.Repeat("x", 8<<10)+mark, redact.Text(strings.Repeat("x", 8<<10+1)), "a word that is cut off too")
	assert.Equal(t, "x"+strings.Repeat("ä", 4<<10-1)+mark, redact.Text("x"+strings.Repeat("ä", 8<<10)), "no half of a character")
	assert.Equal(t, "password=***"+mark, redact.Text("password="+strings.Repeat("s3cret", 1<<20)))
	grown := redact.Text(strings.Repeat("pwd=a ", 1300))
	assert.Len(t, grown, 8<<10+len(mark), "the stars count")
	huge := redact.Text(strings.Repeat("amqp://app:s3cret@host ", 1<<20))
	assert.LessOrEqual(t, len(huge), 8<<10+len(mark))
	assert.NotContains(t, huge, "s3")
}

// At whatever position a text is cut, no part of a secret may remain before the cut.
func TestMaskAtTheCut(t *testing.T) {
	for _, secret := range []string{
		"amqp://app:s3crets3cret@host/", "dsn root:s3crets3cret@/app", "password='s3cret s3cret'",
		`{"token":"s3crets3cret"}`,
		`"amqp://app:s3cret s3cret@host/"`, "Authorization: Bearer s3crets3cret",
		"cannot parse s3crets3cret@host:1",
	} {
		for _, limit := range []int{8 << 10, 16 << 10} {
			for at := limit - len(secret) - 4; at < limit+4; at++ {
				got := redact.Text(strings.Repeat(" ", at) + secret + strings.Repeat(" ", 16<<10))
				require.NotContains(t, got, "s3", "%s at %d", secret, at)
			}
			got := redact.Text("password=" + strings.Repeat("x", limit-len(secret)/2) + " " + secret + strings.Repeat(" ", 16<<10))
			require.NotContains(t, got, "s3", secret)
		}
	}
}

// Parsers of URLs quote the part that they could not parse, which can be the password.
func TestMaskURLErrors(t *testing.T) {
	for _, password := range []string{"s3cret", "s3/cret", "s3%cret", "s3?c#ret", "s3 cret", `s3"cret`, "s3@cret", "s3:cret", "s3\x7fcret", "s3[cret"} {
		for _, format := range []string{"amqp://app:%s@host:5672/", "redis://app:%s@host:bad/0", "amqp://app:%s@ho st/"} {
			_, err := url.Parse(fmt.Sprintf(format, password))
			if err != nil {
				assert.NotContains(t, redact.Error(err), "s3", "%q in %q", password, format)
				assert.NotContains(t, redact.Error(err), "cret", "%q in %q", password, format)
			}
		}
	}
}

// planted has the forms in which FuzzMask hides a password. %s is the place of the password.
var planted = []string{
	"amqp://app:%s@host:5672/vhost", "redis://:%s@host", `"postgres://app:%s@host/app"`,
	"app:%s@tcp(host:3306)/app", "root:%s@/app", "root:%s@(host)",
	"password=%s ", "password='%s'", "PASSWORD = %s\n", "password:\n%s\n", "db_pass=%s ", "token=%s ",
	"?api_key=%s ", `"password":"%s"`, `"token": "%s"`,
	`"client_secret":"%s"`, `\"api_key\":\"%s\"`, "'secret': '%s'", "Authorization: Bearer %s\n",
	`"authorization":"Bearer %s"`, " Bearer %s\n",
	`parse "amqp://app:%s@host": invalid`, `invalid port ":%s" after host`, "%s@host:5672/",
	"https://%s@host/", "amqp%%3A%%2F%%2Fapp%%3A%s%%40host", `redis:\/\/:%s@host`, "?dsn%%3Dpassword%%3D%s ",
	"?sig=%s ",
	"with args beginning with: '%s'\n", "PASSWORD '%s'", "IDENTIFIED BY '%s'", " --password %s ",
	`"--password","%s"`,
	"docker login -u app -p %s ", "\x00app\x00%s ", "Cookie: a=%s\n", "Server=x;Password=a %s b;User=y",
}

// A password in any of these forms must be masked, whatever surrounds it.
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
		masked := redact.Text(text)
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

// BenchmarkMask has the texts that take the longest: most of the text resembles the beginning of a secret.
// They are longer than the part that is searched.
func BenchmarkMask(b *testing.B) {
	for _, part := range []string{
		"x", "dial tcp 10.0.0.1:5432: connect: connection refused\n", "a://b:", `"a://b:c`, "a://b@",
		"password=", `password="`, `"password":"`,
		"password=a;", ";password=a\n", "password={", "password 'a", "authorization:", "Cookie: a=", "@",
		"@/", "a:b@/", "=", ": ", "_=", `"`,
		`parse "`, `invalid port "`, "bearer ", "basic x", "plain a", "\x00a", "-u -p ", "--password ",
		"identified by ", "args beginning with:",
		"syntax to use near '", "-----BEGIN PRIVATE KEY-----", "%25", `\u0025password="`, "%3A%2F%2F",
	} {
		text := `password="` + strings.Repeat(part, 64<<10/len(part))
		b.Run(part, func(b *testing.B) {
			for b.Loop() {
				redact.Text(text)
			}
		})
	}
}

type panics struct{ text string }

func (p *panics) Error() string { return p.text }

func TestText(t *testing.T) {
	assert.Equal(t, "", redact.Error(nil))
	assert.Equal(t, "redis://:***@cache", redact.Error(errors.New("redis://:s3cret@cache")))
	assert.Equal(t, "an error of type *redact_test.panics, whose Error method panics", redact.Error((*panics)(nil)))
}
