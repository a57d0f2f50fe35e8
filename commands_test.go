package echohealth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/healthcheck"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
	"github.com/echo-probes/echohealth/probes/pgxprobe"
	"github.com/echo-probes/echohealth/probes/redisprobe"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/labstack/echo/v4"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// elsewhere maps the beginnings of commands that are not run here to the reason.
var elsewhere = map[string]string{
	"go get github.com/echo-probes/echohealth": "it installs",
	"make test":                           "it runs this test",
	"go test -short ./...":                "it runs this test",
	"make lint":                           "it builds the linters",
	"make kubelet":                        "it is a test, and needs root",
	"bash .ci/run":                        "it runs this test",
	"cd bench && go run .":                "it measures for minutes; the bench module has tests of its own",
	"go run -C _example .":                "the example's own tests run it",
	"go test -C e2e ":                     "they are tests",
	"ECHOHEALTH_LOAD=10s go test -C e2e ": "it is a test, and longer than in CI",
	"ECHOHEALTH_SOAK=3m go test -C e2e ":  "it is a test, with more requests than in CI",
	"rabbitmqctl ":                        "celeryprobe's tests of permissions do the same",
	"redis-cli ACL SETUSER ":              "celeryprobe's tests of permissions do the same",
}

// TestCommands runs the commands in the documents' consoles. "go run ." starts the last whole program above
// it. "curl" and the command of this module send a request to that program, and the answer must match the
// text below the command. Any other command must be in elsewhere, with the reason why it is not run.
func TestCommands(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds programs")
	}
	pages, err := filepath.Glob("docs/*.md")
	require.NoError(t, err)
	for _, page := range append(pages, "CONTRIBUTING.md") {
		if page == "docs/grpc.md" {
			continue
		}
		t.Run(page, func(t *testing.T) {
			var service string
			for _, c := range commands(readFile(t, page)) {
				service = c.run(t, service)
			}
		})
	}
}

// The README's answers are those of real servers, first with all of them running and then with Redis stopped.
func TestReadmeCommands(t *testing.T) {
	service, stopRedis := readmeService(t)
	for _, c := range commands(readFile(t, "README.md")) {
		if strings.Contains(strings.Join(c.output, ""), "not_ready") {
			stopRedis()
		}
		c.run(t, service)
	}
}

// The README shows the advice that a pool without connect_timeout gets.
func TestReadmeShowsAdvice(t *testing.T) {
	pool, err := pgxpool.New(t.Context(), "postgres://app@127.0.0.1:1/app")
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	advice := pgxprobe.New(pool).Advise()
	require.Len(t, advice, 1)
	record := fmt.Sprintf("WARN health check advice check=database advice=%q", advice[0])
	require.Contains(t, strings.Join(strings.Fields(readFile(t, "README.md")), " "), record)
}

// readmeService starts the service of the README's first block.
func readmeService(t *testing.T) (address string, stopRedis func()) {
	t.Helper()
	postgres, redisServer, rabbit := testserver.NewPostgres(t), testserver.NewRedis(t), testserver.NewRabbitMQ(t)
	pool, err := pgxpool.New(t.Context(), postgres.DSN())
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	settings, err := redis.ParseURL(redisServer.URL())
	require.NoError(t, err)
	rdb := redis.NewClient(settings)
	t.Cleanup(func() { _ = rdb.Close() })
	consume(t, rabbit.URL())

	health, err := echohealth.New(
		echohealth.WithDatabase(pgxprobe.New(pool)),
		echohealth.WithRedis(redisprobe.New(rdb)),
		echohealth.WithCelery(celeryprobe.New(rabbit.URL())),
		echohealth.WithLogger(slog.New(slog.DiscardHandler)),
	)
	require.NoError(t, err)
	t.Cleanup(func() { _ = health.Close() })
	e := echo.New()
	e.Use(health.Middleware)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String(), sync.OnceFunc(func() { redisServer.Stop(t) })
}

// consume declares Celery's queue and consumes it as a worker does.
func consume(t *testing.T, url string) {
	t.Helper()
	conn, err := amqp.Dial(url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	channel, err := conn.Channel()
	require.NoError(t, err)
	_, err = channel.QueueDeclare("celery", true, false, false, false, nil)
	require.NoError(t, err)
	_, err = channel.Consume("celery", "worker", true, false, false, false, nil)
	require.NoError(t, err)
}

// command is a line of a console, with the text below it and the last whole program above it.
type command struct {
	line    string
	output  []string
	program string
}

var block = regexp.MustCompile("(?ms)^```(go|console)\n(.*?)^```$")

// commands returns the lines of all consoles that begin with a prompt.
func commands(text string) []command {
	var found []command
	program := ""
	for _, match := range block.FindAllStringSubmatch(text, -1) {
		if match[1] == "go" {
			if strings.HasPrefix(match[2], "package main\n") {
				program = match[2]
			}
			continue
		}
		for line := range strings.Lines(match[2]) {
			line = strings.TrimSuffix(line, "\n")
			if prompt, ok := strings.CutPrefix(line, "$ "); ok {
				prompt, _, _ = strings.Cut(prompt, " #")
				found = append(found, command{line: strings.TrimSpace(prompt), program: program})
			} else if n := len(found); n > 0 && line != "" {
				found[n-1].output = append(found[n-1].output, line)
			}
		}
	}
	return found
}

var goRun = regexp.MustCompile(`^((?:[A-Z_]+=\S+ )*)go run \.$`)

// run runs the command, and returns the address of the service for the next command.
func (c command) run(t *testing.T, service string) string {
	t.Helper()
	if match := goRun.FindStringSubmatch(c.line); match != nil {
		return start(t, c.program, strings.Fields(match[1]))
	}
	if strings.HasPrefix(c.line, "curl ") {
		c.ask(t, service)
		return service
	}
	if rest, ok := strings.CutPrefix(c.line, "go run github.com/echo-probes/echohealth/cmd/healthcheck "); ok {
		c.healthcheck(t, rest, service)
		return service
	}
	for beginning := range elsewhere {
		if strings.HasPrefix(c.line, beginning) {
			return service
		}
	}
	t.Errorf("%q: nothing here runs it", c.line)
	return service
}

// start builds and starts a document's program on a free port.
func start(t *testing.T, program string, environment []string) (address string) {
	t.Helper()
	require.Contains(t, program, `":8000"`, "there is no program above, or its address differs")
	address = fmt.Sprintf("127.0.0.1:%d", testserver.FreePort(t))
	dir := scratch(t)
	text := strings.Replace(program, `":8000"`, fmt.Sprintf("%q", address), 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte(text), 0o644))
	executable := filepath.Join(t.TempDir(), "service")
	output, err := exec.Command("go", "build", "-o", executable, "./"+dir).CombinedOutput()
	require.NoError(t, err, "%s", output)

	service := exec.Command(executable)
	service.Env = append(os.Environ(), environment...)
	require.NoError(t, service.Start())
	t.Cleanup(func() {
		_ = service.Process.Kill()
		_ = service.Wait()
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, 30*time.Second, 20*time.Millisecond, "the program does not listen")
	return address
}

// limit is how long an answer may differ from the documented one, because results are fresh for a second
// and servers stop with a delay.
const limit = 10 * time.Second

// ask repeats the request of the curl command until the answer is the documented one.
func (c command) ask(t *testing.T, service string) {
	t.Helper()
	require.NotEmpty(t, service, "%s: nothing serves it", c.line)
	want := c.pattern()
	var got string
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if got = answerTo(t, c.line, service); want.MatchString(got) {
			return
		}
	}
	t.Errorf("%s\nanswers\n%s\nbut the document says\n%s", c.line, got, strings.Join(c.output, "\n"))
}

// healthcheck repeats the module's own command until its output is the documented one. Its last argument is
// the URL.
func (c command) healthcheck(t *testing.T, arguments, service string) {
	t.Helper()
	require.NotEmpty(t, service, "%s: nothing serves it", c.line)
	words := split(strings.ReplaceAll(arguments, "localhost:8000", service))
	want := regexp.MustCompile("(?s)" + general(strings.Join(c.output, "\n")))
	var got bytes.Buffer
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		got.Reset()
		healthcheck.Main(words, &got, &got)
		if want.Match(got.Bytes()) {
			return
		}
	}
	t.Errorf("%s\nsays\n%s\nbut the document says\n%s", c.line, &got, strings.Join(c.output, "\n"))
}

// answerTo returns the answer as curl prints it, always with the headers, sorted by their names.
func answerTo(t *testing.T, line, service string) string {
	t.Helper()
	client := http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		Timeout:       limit,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(curl(t, line, service))
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	lines := []string{response.Proto + " " + response.Status}
	response.Header.Set("Content-Length", fmt.Sprint(response.ContentLength))
	for name, values := range response.Header {
		for _, value := range values {
			lines = append(lines, name+": "+value)
		}
	}
	slices.Sort(lines[1:])
	return strings.Join(append(lines, string(body)), "\n")
}

// curl makes the request of a curl command. It knows only the flags that the documents use.
func curl(t *testing.T, line, service string) *http.Request {
	t.Helper()
	method, url, body := http.MethodGet, "", ""
	header := http.Header{}
	user, password := "", ""
	words := split(line)[1:]
	next := func() string {
		require.Greater(t, len(words), 1, "%s: a value is missing", line)
		words = words[1:]
		return words[0]
	}
	for ; len(words) > 0; words = words[1:] {
		switch words[0] {
		case "-i", "-s":
		case "-I":
			method = http.MethodHead
		case "-X":
			method = next()
		case "-d":
			method, body = http.MethodPost, next()
		case "-H":
			name, value, _ := strings.Cut(next(), ": ")
			header.Set(name, value)
		case "-u":
			user, password, _ = strings.Cut(next(), ":")
		default:
			require.Empty(t, url, "%s: %q is not understood", line, words[0])
			url = words[0]
		}
	}
	path, ok := strings.CutPrefix(url, "localhost:8000/")
	require.True(t, ok, "%s: it asks something else than localhost:8000", line)
	request, err := http.NewRequestWithContext(t.Context(), method, "http://"+service+"/"+path, strings.NewReader(body))
	require.NoError(t, err)
	request.Header = header
	if user != "" {
		request.SetBasicAuth(user, password)
	}
	return request
}

var word = regexp.MustCompile(`'[^']*'|"[^"]*"|[^\s'"]+`)

// split returns the words of a command line without their quotes.
func split(line string) []string {
	words := word.FindAllString(line, -1)
	for i := range words {
		words[i] = strings.Trim(words[i], `'"`)
	}
	return words
}

var (
	headerLine = regexp.MustCompile(`^(HTTP/|[A-Z][A-Za-z-]*: )`)
	moment     = regexp.MustCompile(`"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`)
	number     = regexp.MustCompile(`(:|Length: |in )\d+(\\\.\d+)?`)
	span       = regexp.MustCompile(`for (\d+[dhms])+`)
)

// pattern returns the pattern that the answer must match. It has the shown headers, in any order and among
// others, and the whole body if one is shown. Times and numbers may differ, and an ellipsis matches anything.
func (c command) pattern() *regexp.Regexp {
	var headers []string
	body := ""
	for _, line := range c.output {
		switch {
		case strings.HasPrefix(line, "Date: "):
			headers = append(headers, "Date: …")
		case headerLine.MatchString(line):
			headers = append(headers, line)
		default:
			body += strings.TrimSpace(line)
		}
	}
	if len(headers) > 1 {
		slices.Sort(headers[1:])
	}
	text := "(?s)^"
	for _, line := range headers {
		text += "(.*\n)?" + general(line) + "\n"
	}
	if text += "(.*\n)?"; body != "" {
		text += general(body) + "$"
	}
	return regexp.MustCompile(text)
}

// general returns the pattern for a documented line. Any time, any duration after "for" and any number match
// those of the line, and anything matches an ellipsis. If the line has the metric cpu and the status healthy,
// degraded matches too, because the machine may be busy.
func general(line string) string {
	measured := strings.Contains(line, `"cpu":`)
	line = moment.ReplaceAllString(regexp.QuoteMeta(line), `"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"`)
	if measured {
		line = strings.Replace(line, `"status":"healthy"`, `"status":"(healthy|degraded)"`, 1)
	}
	line = span.ReplaceAllString(number.ReplaceAllString(line, `$1\d+(\.\d+)?`), `for (\d+[dhms])+`)
	return strings.ReplaceAll(line, "…", ".*")
}

func TestPatternOfAnAnswer(t *testing.T) {
	c := command{output: []string{"HTTP/1.1 200 OK", "Date: long ago", "Content-Length: 53", `{"status":"ok","at":"2026-11-25T04:43:34Z",…,"n":0.5}`}}
	answer := "HTTP/1.1 200 OK\nCache-Control: no-store\nContent-Length: 7\nDate: now\n" + `{"status":"ok","at":"2027-01-01T00:00:00Z","more":{},"n":12}`
	require.Regexp(t, c.pattern(), answer)
	for _, other := range []string{
		strings.Replace(answer, "200", "503", 1),
		strings.Replace(answer, "ok", "error", 1),
		strings.Replace(answer, "Content-Length", "Length", 1),
		strings.Replace(answer, "2027-01-01", "yesterday", 1),
		answer + "}",
	} {
		require.NotRegexp(t, c.pattern(), other)
	}

	busy := `{"status":"degraded","checks":{"cpu":{"status":"warning"}}}`
	require.Regexp(t, command{output: []string{`{"status":"healthy","checks":{"cpu":{…}}}`}}.pattern(), "HTTP/1.1 200 OK\n"+busy)
	require.NotRegexp(t, command{output: []string{`{"status":"unhealthy","checks":{"cpu":{…}}}`}}.pattern(), "HTTP/1.1 200 OK\n"+busy)
	require.NotRegexp(t, command{output: []string{`{"status":"healthy","checks":{…}}`}}.pattern(), "HTTP/1.1 200 OK\n"+busy)
}

var jsonBlock = regexp.MustCompile("(?ms)^```json\n(.*?)^```$")

// Every JSON block in the documents must be valid JSON. A block with a single member is completed to an
// object.
func TestDocumentsHoldJSON(t *testing.T) {
	for _, page := range documents(t) {
		for _, match := range jsonBlock.FindAllStringSubmatch(readFile(t, page), -1) {
			text := strings.TrimSpace(match[1])
			if strings.HasPrefix(text, `"`) {
				text = "{" + text + "}"
			}
			require.True(t, json.Valid([]byte(text)), "%s:\n%s", page, match[1])
		}
	}
}
