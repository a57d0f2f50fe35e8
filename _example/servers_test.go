package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
)

// TestRealServers runs the service with real PostgreSQL, Redis and RabbitMQ servers. It must report the
// outage of each server, and become ready again without a restart when the server is back.
func TestRealServers(t *testing.T) {
	postgres, cache, rabbit := testserver.NewPostgres(t), testserver.NewRedis(t), testserver.NewRabbitMQ(t)
	p := start(t, "DATABASE_URL="+postgres.DSN(), "REDIS_URL="+cache.URL(), "BROKER_URL="+rabbit.URL())

	p.awaitReady(t, http.StatusOK, `"status":"ready"`)
	p.useEverything(t)
	p.awaitCheck(t, "celery", func(c check) bool {
		return c.PendingTasks == 1 && c.Status == "warning" && c.Reason == "no_consumers"
	})

	outages := []struct {
		check       string
		stop, start func(testing.TB)
	}{
		{"redis", cache.Stop, cache.Start},
		{"database", postgres.Stop, postgres.Start},
		{"celery", rabbit.Kill, rabbit.Start},
	}
	for _, outage := range outages {
		outage.stop(t)
		p.awaitReady(t, http.StatusServiceUnavailable, `"`+outage.check+`":{"status":"error","reason":"connection_refused"`)
		outage.start(t)
		p.awaitReady(t, http.StatusOK, `"status":"ready"`)
	}
	p.useEverything(t)
	p.end(t, syscall.SIGTERM)
}

// awaitReady waits until readiness has this status and its body contains this fragment. On an idle machine
// this takes a second of freshness and one check.
func (p *process) awaitReady(t *testing.T, status int, fragment string) {
	t.Helper()
	var got int
	var body string
	begun := time.Now()
	require.Eventually(t, func() bool {
		got, body = p.get(t, "/api/health/ready/")
		return got == status && strings.Contains(body, fragment)
	}, waitLimit, 50*time.Millisecond, "%s", fragment)
	t.Logf("%d after %s: %s", got, time.Since(begun).Round(time.Millisecond), body)
}

// useEverything requests every route.
func (p *process) useEverything(t *testing.T) {
	t.Helper()
	status, body := p.post(t, "/notes", "text=milk")
	require.Equal(t, 201, status, body)
	status, list := p.get(t, "/notes")
	require.Equal(t, 200, status, list)
	assert.Contains(t, list, body)
	status, body = p.post(t, "/jobs", "x=1&y=2")
	require.Equal(t, 202, status, body)
}

// TestWorker runs the jobs with a real Celery worker, with each kind of broker.
func TestWorker(t *testing.T) {
	server := testserver.NewRedis(t)
	brokers := map[string]func() string{
		"redis": func() string { return server.URL() },
		"amqp":  func() string { return testserver.NewRabbitMQ(t).URL() },
	}
	for name, broker := range brokers {
		t.Run(name, func(t *testing.T) {
			url := broker()
			p := start(t, "BROKER_URL="+url)
			testserver.NewCelery(t, url, testserver.CelerySettings(fmt.Sprintf("result_backend = %q", server.URL())))
			status, body := p.post(t, "/jobs", "x=1&y=2")
			require.Equal(t, 202, status, body)
			awaitResult(t, server.URL(), body)
			p.awaitCheck(t, "celery", func(c check) bool { return c.Status == "ok" && c.PendingTasks == 0 })
		})
	}
}

// awaitResult waits until a worker has written 1 + 2 to its result backend.
func awaitResult(t *testing.T, backend, answer string) {
	t.Helper()
	var job struct{ ID string }
	require.NoError(t, json.Unmarshal([]byte(answer), &job))
	options, err := redis.ParseURL(backend)
	require.NoError(t, err)
	client := redis.NewClient(options)
	defer client.Close()
	require.Eventually(t, func() bool {
		text, err := client.Get(t.Context(), "celery-task-meta-"+job.ID).Bytes()
		var result struct {
			Status string
			Result int
		}
		return err == nil && json.Unmarshal(text, &result) == nil && result.Status == "SUCCESS" && result.Result == 3
	}, waitLimit, 50*time.Millisecond)
}
