package recipes

import (
	"context"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/elastic/elastic-transport-go/v8/elastictransport"
	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
)

const timeout = 800 * time.Millisecond // the default of a check

// slack is an allowance for a busy machine. A check that hangs takes seconds more. lateAtMost answers of a
// test may take longer, because the machine may pause.
const (
	slack      = 1200 * time.Millisecond
	lateAtMost = 2
)

// scene is one recipe: its server, its probe, and the expected reasons.
type scene struct {
	server func(t *testing.T) *process
	probe  func(t *testing.T, address, password string) probes.Probe
	killed probes.Reason
	frozen probes.Reason
	wrong  probes.Reason // empty if there is no password
}

var scenes = map[string]scene{
	"mongodb": {
		server: func(t *testing.T) *process {
			address, backend := freeAddress(t), testserver.NewPostgres(t)
			return start(t, "tcp", address, program(t, "ferretdb"), "--listen-addr="+address,
				"--postgresql-url="+backend.DSN(), "--test-enable-new-auth", "--setup-database=orders",
				"--setup-username="+user, "--setup-password="+password,
				"--state-dir="+t.TempDir(), "--debug-addr=-", "--telemetry=disable")
		},
		probe: mongoDB, killed: "connection_refused", frozen: "timeout", wrong: "authentication_failed",
	},
	"nats": {
		server: func(t *testing.T) *process { return serve(t, "nats") },
		probe:  natsServer, killed: "connection_lost", frozen: "timeout", wrong: "authentication_failed",
	},
	"kafka": {
		server: func(t *testing.T) *process { return serve(t, "kafka") },
		probe:  kafka, killed: "connection_refused", frozen: "timeout", wrong: "authentication_failed",
	},
	"elasticsearch": {
		server: func(t *testing.T) *process { return serve(t, "elasticsearch") },
		probe:  search, killed: "connection_refused", frozen: "timeout", wrong: "authentication_failed",
	},
	"s3": {
		server: func(t *testing.T) *process {
			address, dir := freeAddress(t), t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(dir, "orders"), 0o755))
			return start(t, "tcp", address, program(t, "versitygw"), "--port", address,
				"posix", "--sidecar", t.TempDir(), dir)
		},
		probe: bucket, killed: "connection_refused", frozen: "timeout", wrong: "authentication_failed",
	},
	"smtp": {
		server: func(t *testing.T) *process { return serve(t, "smtp") },
		probe: func(_ *testing.T, address, password string) probes.Probe {
			return smtpProbe(address, user, password)
		},
		killed: "connection_refused", frozen: "timeout", wrong: "authentication_failed",
	},
	"tcp": {
		server: func(t *testing.T) *process { return serve(t, "tcp") },
		probe:  func(_ *testing.T, address, _ string) probes.Probe { return tcpProbe(address) },
		killed: "connection_refused", frozen: "", // the kernel accepts connections for the frozen process
	},
	"dns": {
		server: func(t *testing.T) *process { return serve(t, "dns") },
		probe:  nameServer, killed: "unreachable", frozen: "timeout",
	},
}

func TestRecipes(t *testing.T) {
	for name, s := range scenes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := s.server(t)
			probe := s.probe(t, server.address, password)
			health := newHealth(t, probe)
			settles(t, health, "")

			server.freeze(t)
			expect(t, "frozen", health, s.frozen)
			heedsContext(t, "frozen", probe, s.frozen)
			server.thaw(t)
			settles(t, health, "")

			server.end()
			expect(t, "killed", health, s.killed)
			heedsContext(t, "killed", probe, s.killed)
			server.launch(t)
			settles(t, health, "")

			if s.wrong != "" {
				expect(t, "wrong password", newHealth(t, s.probe(t, server.address, "app-wrong")), s.wrong)
			}
		})
	}
}

func TestWithRecipes(t *testing.T) {
	client, err := mongo.Connect(options.Client().SetHosts([]string{"127.0.0.1:1"}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	conn, err := nats.Connect("nats://127.0.0.1:1", nats.RetryOnFailedConnect(true))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	health := open(t, withRecipes(client, conn)...)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		down := health.Report(t.Context())
		require.Len(c, down.Checks, 2)
		assert.Equal(c, probes.ReasonConnectionRefused, down.Checks[0].Reason)
		assert.Equal(c, probes.ReasonConnectionLost, down.Checks[1].Reason)
		assert.False(c, down.Ready)
	}, 30*time.Second, 50*time.Millisecond)
}

// service is a Health, and how many of its answers came late.
type service struct {
	*echohealth.Health
	late int
}

func newHealth(t *testing.T, probe probes.Probe) *service {
	t.Helper()
	return &service{Health: open(t, echohealth.WithCheck("recipe", probe, echohealth.FreshFor(50*time.Millisecond)))}
}

func open(t *testing.T, options ...echohealth.Option) *echohealth.Health {
	t.Helper()
	health, err := echohealth.New(append(options, echohealth.WithoutSystemMetrics(),
		echohealth.WithLogger(slog.New(slog.DiscardHandler)))...)
	require.NoError(t, err)
	t.Cleanup(func() { _ = health.Close() })
	return health
}

// ask runs the check once. It must end within the check's timeout.
func ask(t *testing.T, health *service) (probes.Reason, time.Duration) {
	t.Helper()
	from := time.Now()
	check, err := health.Check(t.Context(), "recipe")
	took := time.Since(from)
	require.NoError(t, err)
	if took > timeout+slack {
		health.late++
		assert.LessOrEqual(t, health.late, lateAtMost, "an answer took %s", took)
	}
	return check.Reason, took
}

// expect waits for the expected reason, and then runs the check for a while. No result may be ok as long as
// the fault lasts. Other reasons in between are logged. On a busy machine there may be a timeout among them.
func expect(t *testing.T, what string, health *service, want probes.Reason) {
	t.Helper()
	if want != "" {
		settles(t, health, want)
	}
	var said []probes.Reason
	var longest time.Duration
	for from := time.Now(); time.Since(from) < 2*time.Second; time.Sleep(100 * time.Millisecond) {
		word, took := ask(t, health)
		longest = max(longest, took)
		if len(said) == 0 || said[len(said)-1] != word {
			said = append(said, word)
		}
	}
	t.Logf("%s: %q, the longest answer took %s", what, said, longest.Round(time.Millisecond))
	if want == "" {
		said = slices.DeleteFunc(said, func(word probes.Reason) bool { return word == "" })
		assert.LessOrEqual(t, len(said), lateAtMost, what) // timeouts, where the machine pauses
	} else {
		assert.NotContains(t, said, probes.Reason(""), what)
	}
}

// settles waits for a reason.
func settles(t *testing.T, health *service, want probes.Reason) {
	t.Helper()
	var reason probes.Reason
	for from := time.Now(); time.Since(from) < 30*time.Second; time.Sleep(50 * time.Millisecond) {
		if reason, _ = ask(t, health); reason == want {
			return
		}
	}
	t.Fatalf("it says %q and not %q", reason, want)
}

// heedsContext calls the probe directly, without the health checks. It must return when its context ends,
// with the same reason. The best of three calls counts, because the machine may pause.
func heedsContext(t *testing.T, what string, probe probes.Probe, want probes.Reason) {
	t.Helper()
	var took time.Duration
	var result probes.Result
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		from := time.Now()
		result = probe.Check(ctx)
		cancel()
		took = time.Since(from)
		t.Logf("%s: the probe alone took %s", what, took.Round(time.Millisecond))
		if took < time.Second+slack && reason.Of(result.Err) == want {
			return
		}
	}
	assert.Less(t, took, time.Second+slack, what)
	assert.Equal(t, want, reason.Of(result.Err), "%s: %v", what, result.Err)
}

func mongoDB(t *testing.T, address, password string) probes.Probe {
	client, err := mongo.Connect(options.Client().SetHosts([]string{address}).SetAuth(options.Credential{
		AuthSource: "orders", Username: user, Password: password,
	}))
	require.NoError(t, err)
	t.Cleanup(func() { _ = client.Disconnect(context.Background()) })
	return mongoProbe(client)
}

func natsServer(t *testing.T, address, password string) probes.Probe {
	conn, err := nats.Connect("nats://"+address, nats.UserInfo(user, password),
		nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	return natsProbe(conn)
}

func kafka(t *testing.T, address, password string) probes.Probe {
	client, err := kgo.NewClient(kgo.SeedBrokers(address),
		kgo.SASL(plain.Auth{User: user, Pass: password}.AsMechanism()))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return kafkaProbe(client)
}

func search(t *testing.T, address, password string) probes.Probe {
	transport, err := elastictransport.NewClient(
		elastictransport.WithURLs(&url.URL{Scheme: "http", Host: address}),
		elastictransport.WithBasicAuth(user, password),
	)
	require.NoError(t, err)
	return elasticsearchProbe(transport)
}

func bucket(_ *testing.T, address, password string) probes.Probe {
	return bucketProbe(s3.New(s3.Options{
		BaseEndpoint: aws.String("http://" + address), Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(user, password, ""),
	}), "orders")
}

func nameServer(_ *testing.T, address, _ string) probes.Probe {
	return dnsProbe(&net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", address)
	}}, "orders.test")
}
