package soak_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/labstack/echo/v4"
	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes/amqpprobe"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
	"github.com/echo-probes/echohealth/probes/pgxprobe"
	"github.com/echo-probes/echohealth/probes/redisprobe"
	"github.com/echo-probes/echohealth/probes/sqlprobe"
)

// service is an application with a check for each of its dependencies.
type service struct {
	pool   *pgxpool.Pool
	db     *sql.DB
	redis  *redis.Client
	worker *worker
	health *echohealth.Health
	http   *httptest.Server
}

func newService(t *testing.T, v *victims) *service {
	t.Helper()
	dsn := v.postgres.DSN() + "&connect_timeout=2"
	pool, err := pgxpool.New(t.Context(), dsn+"&pool_max_conns=4")
	require.NoError(t, err)
	db, err := sql.Open("pgx", dsn)
	require.NoError(t, err)
	db.SetMaxOpenConns(4)
	s := &service{pool: pool, db: db,
		redis:  redis.NewClient(&redis.Options{Addr: v.redis.Addr(), ContextTimeoutEnabled: true}),
		worker: startWorker(v.rabbit.URL()),
	}
	s.health, err = echohealth.New(
		echohealth.WithFreshness(freshness), echohealth.WithTimeout(deadline), echohealth.WithLogger(slog.New(slog.DiscardHandler)),
		echohealth.WithDatabase(pgxprobe.New(s.pool)),
		echohealth.WithCheck(sqlCheck, sqlprobe.New(s.db)),
		echohealth.WithRedis(redisprobe.New(s.redis)),
		echohealth.WithCheck(listsCheck, celeryprobe.Redis(s.redis)),
		echohealth.WithAMQP(amqpprobe.New(v.rabbit.URL())),
		echohealth.WithCelery(celeryprobe.New(v.rabbit.URL())),
	)
	require.NoError(t, err)
	e := echo.New()
	e.Use(s.health.Middleware)
	s.http = httptest.NewServer(stamped(e))
	return s
}

func (s *service) close() error {
	s.http.Close()
	err := errors.Join(s.health.Close(), s.redis.Close(), s.db.Close())
	s.pool.Close()
	s.worker.stop()
	return err
}

// startedHeader contains the time at which the service began to make an answer, in nanoseconds since the
// epoch.
const startedHeader = "Soak-Started"

var epoch = time.Now()

func stamped(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(startedHeader, strconv.FormatInt(int64(time.Since(epoch)), 10))
		next.ServeHTTP(w, r)
	})
}

// use makes the application's own calls until ctx ends. The calls fail as long as a server is down. Calls
// that time out leave connections that pgx and go-redis must close, in addition to those of the checks.
func (s *service) use(ctx context.Context, work *sync.WaitGroup) {
	calls := []func(context.Context) error{
		s.pool.Ping,
		s.db.PingContext,
		func(ctx context.Context) error { return s.redis.Ping(ctx).Err() },
	}
	for _, call := range calls {
		work.Go(func() {
			for ctx.Err() == nil {
				limited, cancel := context.WithTimeout(ctx, time.Second)
				_ = call(limited) // the test judges only the checks
				cancel()
				sleep(ctx, 200*time.Millisecond)
			}
		})
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// worker consumes the queue like a Celery worker, and connects again after it has lost the connection.
// Without a consumer the check of the queue would be a warning.
type worker struct{ stop func() }

func startWorker(url string) *worker {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() {
		for ctx.Err() == nil {
			_ = consume(ctx, url) // fails as long as the broker is down
			sleep(ctx, 200*time.Millisecond)
		}
	})
	return &worker{stop: func() { cancel(); work.Wait() }}
}

// consume returns when the connection is lost or ctx ends.
func consume(ctx context.Context, url string) error {
	conn, err := amqp.DialConfig(url, amqp.Config{Heartbeat: 10 * time.Second, Dial: amqp.DefaultDial(time.Second)})
	if err != nil {
		return err
	}
	defer conn.CloseDeadline(time.Now().Add(time.Second))
	channel, err := conn.Channel()
	if err != nil {
		return err
	}
	if _, err = channel.QueueDeclare("celery", true, false, false, false, nil); err != nil {
		return err
	}
	deliveries, err := channel.ConsumeWithContext(ctx, "celery", "", true, false, false, false, nil)
	if err != nil {
		return err
	}
	for range deliveries {
		// No task is ever sent, so this ends with the connection or with ctx.
	}
	return nil
}
