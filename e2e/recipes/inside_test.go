package recipes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/probes"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
)

func TestInFlight(t *testing.T) {
	inFlight := &InFlight{Max: 1}
	assert.Equal(t, probes.OK, inFlight.Check(t.Context()).Status)

	e := echo.New()
	e.Use(inFlight.Middleware)
	arrived, leave := make(chan struct{}), make(chan struct{})
	e.GET("/", func(c echo.Context) error {
		arrived <- struct{}{}
		<-leave
		return c.NoContent(http.StatusOK)
	})
	var requests sync.WaitGroup
	for range 2 {
		requests.Go(func() { e.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)) })
		<-arrived
	}
	result := inFlight.Check(t.Context())
	assert.Equal(t, probes.Warning, result.Status)
	assert.Equal(t, probes.ReasonAboveThreshold, result.Reason)
	assert.Equal(t, "[in_flight=2]", fmt.Sprint(result.Details))
	close(leave)
	requests.Wait()
	assert.Equal(t, "[in_flight=0]", fmt.Sprint(inFlight.Check(t.Context()).Details))
}

func TestTenants(t *testing.T) {
	refused := fmt.Errorf("dial: %w", syscall.ECONNREFUSED)
	down := map[string]error{}
	tenants := &Tenants{Ask: func(_ context.Context, name string) error { return down[name] }}
	for i := range 20 {
		tenants.Names = append(tenants.Names, fmt.Sprintf("tenant-%d", i))
	}
	result := tenants.Check(t.Context())
	assert.Equal(t, probes.OK, result.Status)
	assert.NoError(t, result.Err)

	down["tenant-3"] = refused
	result = tenants.Check(t.Context())
	assert.Equal(t, probes.Warning, result.Status)
	assert.Equal(t, probes.Reason("tenants_down"), result.Reason)
	assert.Equal(t, "[tenants=20 tenants_down=1]", fmt.Sprint(result.Details))
	assert.ErrorContains(t, result.Err, "tenant-3: dial")

	for _, name := range tenants.Names {
		down[name] = refused
	}
	result = tenants.Check(t.Context())
	assert.Equal(t, probes.Error, result.Status)
	assert.Empty(t, result.Reason)
	assert.Equal(t, probes.ReasonConnectionRefused, reason.Of(result.Err))
}

// A tenant that hangs must count as down. If all tenants hang, the result must be a timeout before the
// check's own timeout.
func TestTenantsHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tenants := &Tenants{Names: []string{"a", "b"}, Ask: func(ctx context.Context, name string) error {
			if name == "a" {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}}
		from := time.Now()
		assert.Equal(t, probes.Reason("tenants_down"), tenants.Check(t.Context()).Reason)
		assert.Less(t, time.Since(from), timeout)
		tenants.Names = nil
		for range 40 {
			tenants.Names = append(tenants.Names, "a")
		}
		health := newHealth(t, tenants)
		word, took := ask(t, health)
		assert.Equal(t, probes.ReasonTimeout, word)
		assert.LessOrEqual(t, took, timeout)
	})
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "off")
	probe := fileProbe(path)
	assert.Equal(t, probes.OK, probe.Check(t.Context()).Status)
	require.NoError(t, os.WriteFile(path, nil, 0o644))
	assert.Equal(t, probes.Reason("switched_off"), probe.Check(t.Context()).Reason)
	require.NoError(t, os.Remove(path))
	assert.Equal(t, probes.OK, probe.Check(t.Context()).Status)
	assert.Equal(t, probes.Error, fileProbe(path+"\x00").Check(t.Context()).Status, "not to know is not on")
}

// The consumer's heartbeat shows that the handler runs, not that the broker responds.
func TestConsumer(t *testing.T) {
	t.Parallel()
	server := serve(t, "kafka")
	client, err := kgo.NewClient(kgo.SeedBrokers(server.address), kgo.ConsumeTopics("orders"),
		kgo.SASL(plain.Auth{User: user, Pass: password}.AsMechanism()))
	require.NoError(t, err)
	t.Cleanup(client.Close)
	alive := probes.NewHeartbeat(5 * time.Second)
	handling, goOn := make(chan struct{}), make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		consume(ctx, client, alive, func(*kgo.Record) { close(handling); <-goOn })
	}()
	t.Cleanup(func() { stop(); <-ended })

	require.NoError(t, client.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("1")}).FirstErr())
	<-handling
	health := newHealth(t, alive)
	settles(t, health, "stuck")
	close(goOn)
	settles(t, health, "")

	server.end()
	for from := time.Now(); time.Since(from) < 6*time.Second; time.Sleep(100 * time.Millisecond) {
		word, _ := ask(t, health)
		require.Empty(t, word)
	}
}

var errDown = errors.New("the database is down")
