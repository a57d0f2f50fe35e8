package main

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
)

func TestEmbedded(t *testing.T) {
	p := start(t)

	status, body := p.get(t, "/api/health/live/")
	assert.Equal(t, 200, status)
	assert.Contains(t, body, `"status":"alive"`)

	var ready health
	require.Eventually(t, func() bool {
		status, ready = p.health(t, "ready")
		return status == 200
	}, waitLimit, 50*time.Millisecond)
	assert.Equal(t, "ready", ready.Status)
	for _, name := range []string{"database", "redis", "celery"} {
		assert.Equal(t, "ok", ready.Checks[name].Status, name)
	}

	p.awaitCheck(t, "cleaner", func(c check) bool { return c.Status == "ok" })
	status, detailed := p.health(t, "detailed")
	assert.Equal(t, 200, status)
	assert.Equal(t, "1.2.3", detailed.Version)
	assert.Contains(t, detailed.Checks, "cpu")

	p.end(t, syscall.SIGTERM)
}

func TestNotes(t *testing.T) {
	p := start(t)
	status, body := p.get(t, "/notes")
	assert.Equal(t, 200, status)
	assert.Equal(t, "[]", body)

	status, body = p.post(t, "/notes", "text=milk")
	assert.Equal(t, 201, status)
	assert.Contains(t, body, `"text":"milk"`)
	added := body

	for _, cache := range []string{"miss", "hit"} {
		response, err := http.Get(p.url + "/notes")
		require.NoError(t, err)
		assert.Equal(t, cache, response.Header.Get("X-Cache"), "a new note empties the cache")
		status, body = read(t, response)
		assert.Equal(t, 200, status)
		assert.Equal(t, "["+added+"]", body)
	}

	for _, text := range []string{"", strings.Repeat("x", longestNote+1), "%ff", "%00"} {
		status, body = p.post(t, "/notes", "text="+text)
		assert.Equal(t, 400, status)
		assert.Equal(t, `{"message":"text must be 1 to 1000 bytes of UTF-8"}`, body)
	}
	status, _ = p.post(t, "/notes", "text="+strings.Repeat("x", 1<<17))
	assert.Equal(t, 413, status)
}

func TestCachedListExpires(t *testing.T) {
	p := start(t)
	p.get(t, "/notes")
	require.Eventually(t, func() bool {
		response, err := http.Get(p.url + "/notes")
		require.NoError(t, err)
		read(t, response)
		return response.Header.Get("X-Cache") == "miss"
	}, listLifetime+waitLimit, 200*time.Millisecond)
}

func TestJobs(t *testing.T) {
	p := start(t)
	for range 3 {
		status, body := p.post(t, "/jobs", "x=1&y=2")
		assert.Equal(t, 202, status)
		assert.Contains(t, body, `"task":"tasks.add"`)
	}
	p.awaitCheck(t, "celery", func(c check) bool { return c.PendingTasks == 3 })
	status, _ := p.post(t, "/jobs", "x=one")
	assert.Equal(t, 400, status)
}

func TestWelcome(t *testing.T) {
	p := start(t)
	p.end(t, os.Interrupt)
	rest, err := io.ReadAll(p.welcome)
	require.NoError(t, err)
	for _, path := range []string{"live", "ready", "detailed"} {
		assert.Contains(t, string(rest), p.url+"/api/health/"+path+"/\n")
	}
	for _, variable := range []string{"DATABASE_URL", "REDIS_URL", "BROKER_URL"} {
		assert.Contains(t, string(rest), variable)
	}
}

// TestEndWithRequest sends SIGTERM during a request whose body is not complete.
func TestEndWithRequest(t *testing.T) {
	p := start(t)
	body, writer := io.Pipe()
	request, err := http.NewRequest(http.MethodPost, p.url+"/notes", body)
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Expect", "100-continue") // the program responds with 100 when it begins to read the body
	client := http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	status := make(chan int, 1)
	go func() {
		response, err := client.Do(request)
		if err != nil {
			status <- 0
			return
		}
		response.Body.Close()
		status <- response.StatusCode
	}()
	_, err = io.WriteString(writer, `{"text":`)
	require.NoError(t, err)
	require.NoError(t, p.command.Process.Signal(syscall.SIGTERM))
	p.awaitDrain(t)
	status200, _ := p.get(t, "/api/health/live/")
	assert.Equal(t, http.StatusOK, status200)
	_, err = io.WriteString(writer, `"milk"}`)
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	assert.Equal(t, http.StatusCreated, <-status)
	p.end(t, nil)
}

// With HEALTH_TOKEN, all endpoints except live, ready and startup must require the token. The program's own
// subcommand must use it.
func TestToken(t *testing.T) {
	const token = "S3cret-of-the-health-endpoints"
	p := start(t, "HEALTH_TOKEN="+token)
	p.awaitReady(t, http.StatusOK, `"status":"ready"`)
	_, body := p.get(t, "/api/health/ready/")
	assert.NotContains(t, body, "database", "only the status")
	status, _ := p.get(t, "/api/health/detailed/")
	assert.Equal(t, 401, status)

	p.awaitHealthcheck(t, 0) // readiness needs no token
	assert.Equal(t, 1, p.healthcheck(t, "--detailed"))
	p.awaitHealthcheck(t, 0, "--detailed", "--header", "Authorization: Bearer "+token)
	require.NoError(t, p.command.Process.Signal(syscall.SIGTERM))
	p.awaitHealthcheck(t, 1) // it drains
	p.end(t, nil)
	assert.Equal(t, 1, p.healthcheck(t), "the program has ended")
}

func TestSecondSignal(t *testing.T) {
	p := start(t)
	require.NoError(t, p.command.Process.Signal(syscall.SIGTERM))
	p.awaitDrain(t)
	require.NoError(t, p.command.Process.Signal(os.Interrupt))
	select {
	case err := <-p.exited:
		require.Error(t, err, "cut short")
	case <-time.After(waitLimit):
		t.Fatal("it still runs")
	}
}

// If a setting is invalid, the program must print one line without a password and exit with 1.
func TestRefusesToStart(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	taken := listener.Addr().String()

	tests := map[string]struct{ variable, line string }{
		"taken port":          {"ADDR=" + taken, "example: listen tcp " + taken + ": bind: address already in use"},
		"no port":             {"ADDR=localhost", "example: listen tcp: address localhost: missing port in address"},
		"database: scheme":    {"DATABASE_URL=mysql://app:S3cret@127.0.0.1/app", "example: " + errDatabaseURL.Error()},
		"database: port":      {"DATABASE_URL=postgres://app:S3cret@127.0.0.1:x/app", "example: " + errDatabaseURL.Error()},
		"database: escape":    {"DATABASE_URL=postgres://app:S3cret%zz@127.0.0.1/app", "example: " + errDatabaseURL.Error()},
		"database: no scheme": {"DATABASE_URL=app:S3cret@127.0.0.1", "example: " + errDatabaseURL.Error()},
		"redis: scheme":       {"REDIS_URL=http://:S3cret@127.0.0.1:6379", "example: " + errRedisURL.Error()},
		"redis: escape":       {"REDIS_URL=redis://:S3cret%zz@127.0.0.1:6379", "example: " + errRedisURL.Error()},
		"redis: slash":        {"REDIS_URL=redis://:S3cret/x@127.0.0.1:6379", "example: " + errRedisURL.Error()},
		"broker: scheme":      {"BROKER_URL=kafka://app:S3cret@127.0.0.1", "example: " + errBrokerURL.Error()},
		"broker: amqp port":   {"BROKER_URL=amqp://app:S3cret@127.0.0.1:x/", "example: " + errBrokerURL.Error()},
		"broker: redis db":    {"BROKER_URL=redis://:S3cret@127.0.0.1/x", "example: " + errBrokerURL.Error()},
		"broker: two brokers": {"BROKER_URL=amqp://app:S3cret@one;amqp://app:S3cret@two", "example: " + errBrokerURL.Error()},
		"token: a space":      {"HEALTH_TOKEN= S3cret-of-the-health", "BearerToken: the token must not begin or end with white space"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			command := newCommand(test.variable)
			kill := time.AfterFunc(waitLimit, func() { _ = command.Process.Kill() }) // in case it starts
			defer kill.Stop()
			var stdout, stderr bytes.Buffer
			command.Stdout, command.Stderr = &stdout, &stderr
			err := command.Run()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			assert.Equal(t, 1, exit.ExitCode())
			assert.Empty(t, stdout.String())
			assert.Equal(t, 1, strings.Count(stderr.String(), "\n"), stderr.String())
			assert.Contains(t, stderr.String(), test.line)
			assert.NotContains(t, stderr.String(), "S3cret")
		})
	}
}

// If the servers are down, the program must start, must not be ready, and must return 503 in JSON for
// requests that need them.
func TestPartsDown(t *testing.T) {
	dead := refusing(t)
	silent := silent(t)
	tests := map[string]struct{ variable, check, reason, part string }{
		"database refuses":   {"DATABASE_URL=postgres://app:S3cret@" + dead + "/app", "database", "connection_refused", "database"},
		"database is silent": {"DATABASE_URL=postgres://app:S3cret@" + silent + "/app", "database", "timeout", "database"},
		"cache refuses":      {"REDIS_URL=redis://:S3cret@" + dead, "redis", "connection_refused", "cache"},
		"cache is mute":      {"REDIS_URL=redis://:S3cret@" + silent, "redis", "timeout", "cache"},
		"RabbitMQ refuses":   {"BROKER_URL=amqp://app:S3cret@" + dead, "celery", "connection_refused", "queue"},
		"RabbitMQ is mute":   {"BROKER_URL=amqp://app:S3cret@" + silent, "celery", "timeout", "queue"},
		"Redis broker down":  {"BROKER_URL=redis://:S3cret@" + dead, "celery", "connection_refused", "queue"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, test.variable)
			p.awaitReady(t, http.StatusServiceUnavailable, `"`+test.check+`":{"status":"error","reason":"`+test.reason+`"`)

			begun := time.Now()
			switch test.part {
			case "database":
				status, body := p.post(t, "/notes", "text=milk")
				assert.Equal(t, 503, status)
				assert.Equal(t, `{"message":"database unavailable"}`, body)
			case "cache":
				status, body := p.get(t, "/notes")
				assert.Equal(t, 503, status)
				assert.Equal(t, `{"message":"cache unavailable"}`, body)
				status, _ = p.post(t, "/notes", "text=milk")
				assert.Equal(t, 201, status, "the note is in the database")
			case "queue":
				status, body := p.post(t, "/jobs", "x=1&y=2")
				assert.Equal(t, 503, status)
				assert.Equal(t, `{"message":"queue unavailable"}`, body)
			}
			assert.Less(t, time.Since(begun), waitLimit, "a request takes %s at most, where the machine is idle", requestTimeout)
			p.end(t, syscall.SIGTERM)
		})
	}
}

// refusing returns an address without a listener.
func refusing(t *testing.T) string {
	t.Helper()
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(testserver.FreePort(t)))
}

// silent returns an address at which the kernel accepts connections but no program responds.
func silent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}
