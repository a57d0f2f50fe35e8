package healthcheck_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/healthcheck/internal/testservice"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// requiring returns a handler that answers every request without this Authorization with the status.
func requiring(authorization string, status int, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != authorization {
			w.WriteHeader(status)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func TestTokenFlags(t *testing.T) {
	t.Setenv("HEALTH_TOKEN", "s3cret")
	t.Setenv("PADDED_TOKEN", "\ts3cret \r\n")
	health := testservice.New(t, echohealth.WithRedis(testservice.Up), echohealth.WithoutSystemMetrics())
	url := testservice.Serve(t, requiring("Bearer s3cret", http.StatusUnauthorized, health))
	for _, flag := range []string{
		"--token-env=HEALTH_TOKEN", "--token-env=PADDED_TOKEN",
		"--token-file=" + writeFile(t, "s3cret"), "--token-file=" + writeFile(t, "\n s3cret\r\n"),
	} {
		for _, mode := range modes {
			code, stdout, stderr := command(append(mode, flag, url)...)
			assert.Zero(t, code, stdout)
			assert.Empty(t, stderr)
		}
		assert.Contains(t, watchOnce(t, flag, url), ": ready in ")
	}
}

func TestTextForAWrongToken(t *testing.T) {
	t.Setenv("WRONG_TOKEN", "s3cret")
	health := testservice.New(t, echohealth.WithRedis(testservice.Up), echohealth.WithoutSystemMetrics())
	file := writeFile(t, "s3cret")
	const missing = "a token is missing (--token-env or --token-file)"
	tests := map[string]struct {
		args []string
		user string // in the URL
	}{
		missing:                                        {},
		"the token of --token-env is wrong":            {args: []string{"--token-env", "WRONG_TOKEN"}},
		"the token of --token-file is wrong":           {args: []string{"--token-file", file}},
		"the value of --header Authorization is wrong": {args: []string{"--header", "authorization: Bearer s3cret"}},
		"the user or the password in the URL is wrong": {user: "user:s3cret@"},
	}
	for status, more := range map[int]string{401: "", 403: ", or requests from this address are not allowed"} {
		url := testservice.Serve(t, requiring("Bearer right", status, health))
		for why, test := range tests {
			want := http.StatusText(status) + ".*[:;] " + regexp.QuoteMeta(why+more) + "\n"
			target := strings.Replace(url, "://", "://"+test.user, 1)
			for _, mode := range modes {
				code, stdout, stderr := command(append(append(mode, test.args...), target)...)
				assert.Equal(t, 1, code)
				assert.Regexp(t, want, stdout)
				assert.NotContains(t, stdout+stderr, "s3cret")
			}
			assert.Regexp(t, want, watchOnce(t, append(test.args, target)...))
		}
	}
}

// A guard leaves live, ready and startup open, so a wrong token must be a fault of the test.
func TestAllWithAWrongToken(t *testing.T) {
	t.Setenv("WRONG_TOKEN", "wrong")
	guard := echohealth.WithGuard(echohealth.BearerToken("right"))
	url := testservice.Serve(t, testservice.New(t, echohealth.WithoutSystemMetrics(), guard))
	code, stdout, _ := command("--all", "--token-env", "WRONG_TOKEN", url)
	assert.Equal(t, 1, code)
	const want = "GET /api/health/detailed/: the status is 401 Unauthorized: the token of --token-env is wrong\n"
	assert.Contains(t, stdout, want)
	assert.Contains(t, stdout, "the service is well, as far as the guard lets it be seen\n")

	code, stdout, _ = command("--all", url)
	assert.Zero(t, code)
	assert.Contains(t, stdout, "closed by a guard, not validated: a token is missing (--token-env or --token-file)\n")
}

// One URL has a user, and the other one needs a token.
func TestAUserInOneOfTwoURLs(t *testing.T) {
	url := testservice.Serve(t, testservice.Answering(401, ""))
	_, stdout, _ := command(strings.Replace(url, "://", "://a:b@", 1), url)
	assert.Regexp(t, `the user or the password in the URL is wrong\n.*: a token is missing \(`, stdout)
}

// nginx refuses a client certificate by an answer and not by an alert.
func TestNginxWantsAClientCertificate(t *testing.T) {
	for _, why := range []string{"No required SSL certificate was sent", "The SSL certificate error"} {
		const page = "<html>\r\n<head><title>400 WHY</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1>" +
			"</center>\r\n<center>WHY</center>\r\n</body>\r\n</html>\r\n"
		_, stdout, _ := command(testservice.Serve(t, testservice.Answering(400, strings.ReplaceAll(page, "WHY", why))))
		assert.Contains(t, stdout, "400 Bad Request in ")
		assert.Contains(t, stdout, ": the server does not accept the client certificate, or requires one (--cert and --key)\n")
	}
}

func TestTokenUsageErrors(t *testing.T) {
	t.Setenv("HEALTH_TOKEN", "s3cret")
	t.Setenv("EMPTY_TOKEN", "")
	t.Setenv("BLANK_TOKEN", " \n")
	t.Setenv("TWO_TOKENS", "s3cret\ns3cret")
	t.Setenv("BEARER_TOKEN", "Bearer s3cret")
	require.NoError(t, os.Unsetenv("NO_TOKEN"))
	file, empty, two := writeFile(t, "s3cret"), writeFile(t, "\n"), writeFile(t, "s3cret\ns3cret\n")
	large, dir := writeFile(t, strings.Repeat("x", 1<<20+1)), t.TempDir()
	const hidden = "(its name is not shown, since it may be the token)"
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--token-env", "HEALTH_TOKEN", "--token-file", file}, "--token-env and --token-file must not be given together: choose one"},
		{[]string{"--token-env", "HEALTH_TOKEN", "--header", "authorization: Bearer s3cret"}, "--token-env and --header Authorization must not be given together"},
		{[]string{"--token-file", file, "--header", "Authorization: Bearer s3cret"}, "--token-file and --header Authorization must not be given together"},
		{[]string{"--header", "Authorization: s3cret", "--header", "Authorization: s3cret"}, "--header Authorization and --header Authorization must not be given together"},
		{[]string{"--token-env", "HEALTH_TOKEN", "http://user:s3cret@x"}, "--token-env and a user in the URL must not be given together"},
		{[]string{"--header", "Authorization: s3cret", "http://user:s3cret@x"}, "--header Authorization and a user in the URL must not be given together"},
		{[]string{"--token-env", "NO_TOKEN"}, `--token-env: the environment variable "NO_TOKEN" is not set`},
		{[]string{"--token-env", ""}, `--token-env: the environment variable "" is not set`},
		{[]string{"--token-env", "EMPTY_TOKEN"}, `--token-env: the environment variable "EMPTY_TOKEN" must hold a token, and is empty`},
		{[]string{"--token-env", "BLANK_TOKEN"}, `--token-env: the environment variable "BLANK_TOKEN" must hold a token, and is empty`},
		{[]string{"--token-env", "TWO_TOKENS"}, `--token-env: the environment variable "TWO_TOKENS" must hold a token alone, in one line`},
		{[]string{"--token-env", "BEARER_TOKEN"}, `--token-env: the environment variable "BEARER_TOKEN" must hold the token alone, without the word "Bearer"`},
		{[]string{"--token-file", "/no/token"}, `--token-file: the file "/no/token" can't be read: no such file or directory`},
		{[]string{"--token-file", "no.txt"}, `--token-file: the file "no.txt" can't be read: no such file or directory`},
		{[]string{"--token-file", ""}, `--token-file: the file "" can't be read: no such file or directory`},
		{[]string{"--token-file", dir}, `--token-file: the file "` + dir + `" can't be read: is a directory`},
		{[]string{"--token-file", empty}, `--token-file: the file "` + empty + `" must hold a token, and is empty`},
		{[]string{"--token-file", two}, `--token-file: the file "` + two + `" must hold a token alone, in one line`},
		{[]string{"--token-file", large}, `--token-file: the file "` + large + `" must not be larger than 1 MiB`},
		{[]string{"rollout", "--token-env", "NO_TOKEN"}, `the environment variable "NO_TOKEN" is not set`},
		{[]string{"--all", "--token-env", "NO_TOKEN"}, `the environment variable "NO_TOKEN" is not set`},
		{[]string{"--watch", "--token-env", "NO_TOKEN"}, `the environment variable "NO_TOKEN" is not set`},
		// The token in place of the name.
		{[]string{"--token-env", "s3cret"}, "--token-env: the environment variable " + hidden + " is not set"},
		{[]string{"--token-env", "S3CRET"}, "--token-env: the environment variable " + hidden + " is not set"},
		{[]string{"--token-file", "s3cret"}, "--token-file: the file " + hidden + " can't be read: no such file or directory"},
		{[]string{"--token-file", "eyJh.eyJz.s3cret-s3cret"}, "--token-file: the file " + hidden + " can't be read"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			assertUsageError(t, append(test.args, "http://x"), test.want)
		})
	}
}
