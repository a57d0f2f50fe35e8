package redact_test

import (
	"testing"

	"github.com/echo-probes/echohealth/internal/redact"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
)

// Servers quote data of the client in their errors.
func TestMaskAnswers(t *testing.T) {
	checkMasked(t, []masking{
		{"ERR unknown command 'auth', with args beginning with: 's3cret'",
			"ERR unknown command 'auth', with args beginning with: ***"},
		{"ERR unknown command `auth`, with args beginning with: `app`, `s3 'cret`, \n: x",
			"ERR unknown command `auth`, with args beginning with: ***\n: x"},
		{"ERR unknown command 'auth', with args beginning with: ",
			"ERR unknown command 'auth', with args beginning with: "},
		{
			"ERR unknown command 'auth', with args beginning with: s3cret",
			"ERR unknown command 'auth', with args beginning with: ***",
		},
		{"ERR unknown subcommand 's3cret'. Try ACL HELP.", "ERR unknown subcommand ***'. Try ACL HELP."},
		{"ERR Unknown subcommand or wrong number of arguments for 's3'. Try cret'. Try ACL HELP.",
			"ERR Unknown subcommand or wrong number of arguments for ***'. Try ACL HELP."},
		{
			"ERR Error in ACL SETUSER modifier '>s3': cret': Syntax error",
			"ERR Error in ACL SETUSER modifier ***': Syntax error",
		},
		{"ERR Syntax error in HELLO option 's3cret'", "ERR Syntax error in HELLO option ***"},
		{
			"the right syntax to use near 's3' x 'cret'' at line 1",
			"the right syntax to use near *** at line 1",
		},
		{"the right syntax to use near 's3cr", "the right syntax to use near ***"},

		{
			"500 5.5.2 Error: bad syntax: AUTH PLAIN AGFwcABzM2NyZXQ=",
			"500 5.5.2 Error: bad syntax: AUTH PLAIN ***",
		},
		{"AUTH PLAIN AGEAczNj", "AUTH PLAIN ***"},
		{"AUTH LOGIN czMgY3JldA==", "AUTH LOGIN ***"},
		{`500 unrecognized: "auth login czNjcmV0czNjcmV0"`, `500 unrecognized: "auth login ***`},
		{
			`unexpected "PLAIN\x00app\x00s3cret" from a client`,
			`unexpected "PLAIN\x00app\x00*** from a client`,
		},
		{"unexpected \x00app\x00s3cret\x00 from a client", "unexpected \x00app\x00***\x00 from a client"},
		{"401 for Authorization: Basic YXBwOnMzY3JldA==", "401 for Authorization: Basic ***"},
	})
}

func TestMaskAnswersLeavesProse(t *testing.T) {
	checkUnmasked(t, []string{
		"ERR wrong number of arguments for 'auth' command",
		"ERR wrong number of arguments for 'config|set' command",
		"ERR unknown command 'auth'", "unknown subcommand: see the help", "a HELLO with options",
		"the right syntax to use nearby",
		"ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
		"NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used",
		"250-AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER CRAM-MD5", "504 5.5.4 AUTH PLAIN Mechanism not supported",
		"plain password, login required",
		"UGFzc3dvcmQ6", "login 12345678901", "plain YWJj", "plainYWJjZGVm", "login AQJhYmNkZWY=",
		"login czNjcmV0czNjcmV0!", "login /////w==", "Basic Authentication is required",
		"binary \x00\x01\x00\x00", "\x00", "\x00app", "\x00a b\x00c",
	})
}

// The texts come from a real server, which gets a password where it does not expect one.
func TestMaskRedisAnswers(t *testing.T) {
	server := testserver.NewRedis(t, "--rename-command", "AUTH", "", "--rename-command", "SET", "AUTHORIZE")
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), Protocol: 2})
	defer client.Close()
	const secret = "s3cret"
	for _, command := range [][]any{
		{"AUTH", secret}, {"AUTH", "app", secret}, {"auth", "app", "s3 'cret'"}, {"SET", "key", secret},
		{"ACL", secret}, {"ACL", secret, secret}, {"CONFIG", secret}, {"CLIENT", secret, secret},
		{"ACL", "SETUSER", "app", secret}, {"ACL", "SETUSER", "app", "<" + secret}, {"HELLO", "3", secret},
		{"HELLO", "3", "AUTH", "app", secret}, {"HELLO", secret, "AUTH", "app", secret}, {"AUTHORIZE", secret},
	} {
		err := client.Do(t.Context(), command...).Err()
		if assert.Error(t, err, "%v", command) {
			assert.NotContains(t, redact.Error(err), "s3", "%v", command)
			t.Log(redact.Error(err))
		}
	}
}
