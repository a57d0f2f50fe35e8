package celeryprobe_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
)

func place(n int) slog.Attr { return slog.Int("broker", n) }

// Like Celery, the probe tries the brokers of a list in order, and stays on the one that answers.
func TestRedisFailoverList(t *testing.T) {
	noLeaks(t)
	one, two := testserver.NewRedis(t), testserver.NewRedis(t, "--requirepass", "app-secret")
	client := redis.NewClient(&redis.Options{Addr: two.Addr(), Password: "app-secret", DB: 3})
	defer client.Close()
	push(t, client, "celery", 2)
	second := fmt.Sprintf("redis://:app-secret@%s/3", two.Addr())
	probe := newProbe(t, one.URL()+";"+second)
	requireOK(t, check(t, probe), pending(0), place(1))

	one.Kill(t)
	requireOK(t, check(t, probe), pending(2), place(2))
	one.Start(t)
	requireOK(t, check(t, probe), pending(2), place(2))
	two.Freeze(t)
	requireOK(t, within(t, probe, 6*time.Second), pending(0), place(1)) // a broker without an answer takes its share of the time
	two.Thaw(t)

	one.Kill(t)
	two.Kill(t)
	result := check(t, probe)
	requireError(t, probes.ReasonConnectionRefused, result)
	assert.ErrorContains(t, result.Err, "broker 1 of 2: ")
	assert.ErrorContains(t, result.Err, "broker 2 of 2: ")
	one.Start(t)
	two.Start(t)
	for _, first := range []string{"redis://:wrong-secret@" + two.Addr(), one.URL()[:len(one.URL())-1] + "99"} {
		requireOK(t, check(t, newProbe(t, first+";"+second)), pending(2), place(2))
	}
}

// The probe reads the workers' answers from the broker to which it sent the ping.
func TestRedisFailoverListWithPings(t *testing.T) {
	two := testserver.NewRedis(t)
	worker(t, two.URL()[:len(two.URL())-1]+"2", "one")
	list := fmt.Sprintf("redis://127.0.0.1:%d;redis://%s/2", testserver.FreePort(t), two.Addr())
	probe := newProbe(t, list, celeryprobe.PingWorkers(1), celeryprobe.PingEvery(time.Second))
	eventually(t, probe, probes.OK, "", pending(0), workers(1), place(2))
}

func TestRedisSocket(t *testing.T) {
	noLeaks(t)
	dir, err := os.MkdirTemp("", "celeryprobe-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o777))
	socket := filepath.Join(dir, "redis.sock")
	server := testserver.NewRedis(t, "--unixsocket", socket)
	client := redis.NewClient(&redis.Options{Addr: server.Addr(), DB: 1})
	defer client.Close()
	push(t, client, "celery", 3)
	probe := newProbe(t, "redis+socket://"+socket+"?virtual_host=1")
	requireOK(t, check(t, probe), pending(3))
	requireOK(t, check(t, newProbe(t, "redis+socket://"+socket)), pending(0))
	server.Kill(t)
	requireError(t, probes.ReasonConnectionRefused, check(t, probe))
	require.NoError(t, os.RemoveAll(socket))
	requireError(t, probes.ReasonConnectionRefused, check(t, probe))
	server.Start(t)
	requireOK(t, check(t, probe), pending(3))
	require.NoError(t, client.Del(t.Context(), "celery").Err())
	one := worker(t, "redis+socket://"+socket+"?virtual_host=1", "one")
	pinging := newProbe(t, "redis+socket://"+socket+"?virtual_host=1", celeryprobe.PingWorkers(1))
	eventually(t, pinging, probes.OK, "", pending(0), workers(1))
	one.Kill(t)
}
