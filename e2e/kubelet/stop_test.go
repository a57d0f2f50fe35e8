package kubelet_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// drainDelay is the example's drain delay.
const drainDelay = 5 * time.Second

// A deleted pod must get SIGTERM immediately, serve requests during the drain delay, and finish requests in
// flight.
func testDelete(t *testing.T) {
	p := startPod(t, "delete", nil)
	p.waitReady(t)
	id := p.id()
	load := startLoad(p)
	p.delete()
	began := p.waitDraining(t)
	load.markDraining()

	sleepUntil(began.Add(drainDelay - time.Second))
	load.stop()
	sleepUntil(began.Add(drainDelay - 500*time.Millisecond))
	post := startPost(t, p)
	closed := eventually(t, 10*time.Second, "its listener is closed", func() bool { return !p.accepts() })
	sleepUntil(began.Add(drainDelay + 1300*time.Millisecond))
	response, err := post.finish()
	require.NoError(t, err)
	assert.Equal(t, http.StatusCreated, response.StatusCode)
	answered := time.Since(began)

	ended := waitExit(t, id)
	assert.Zero(t, ended.Status)
	load.assert(t)
	record("pod deleted, grace 30 s", "%s; listener closed at %s; a POST begun at 4.5 s answered at %s; exit %d at %s",
		load.summary(), seconds(drainDelay-500*time.Millisecond+closed), seconds(answered), ended.Status,
		seconds(ended.At.Sub(began)))
}

// If the grace period is shorter than the drain, the pod gets SIGKILL, and requests in flight are lost.
func testShortGrace(t *testing.T) {
	p := startPod(t, "grace", func(spec *corev1.PodSpec, _ *corev1.Container) {
		spec.TerminationGracePeriodSeconds = new(int64(3))
	})
	p.waitReady(t)
	id := p.id()
	p.delete()
	began := p.waitDraining(t)
	post := startPost(t, p)
	ended := waitExit(t, id)
	assert.Equal(t, 137, ended.Status, "SIGKILL")
	_, err := post.finish()
	require.Error(t, err)
	record("grace 3 s, less than the drain", "exit %d at %s, the POST lost", ended.Status, seconds(ended.At.Sub(began)))
}

// A preStop sleep delays SIGTERM. Until then the service does not know that it must stop.
func testPreStop(t *testing.T) {
	p := startPod(t, "prestop", func(_ *corev1.PodSpec, c *corev1.Container) {
		c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: &corev1.SleepAction{Seconds: 5}}}
	})
	p.waitReady(t)
	id := p.id()
	p.delete()
	deleted := p.waitEvent(t, "Killing").at
	for time.Since(deleted) < 4*time.Second {
		response, _, err := p.get("ready/")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, response.StatusCode)
		require.False(t, response.Close, "Connection: close")
		time.Sleep(50 * time.Millisecond)
	}
	began := p.waitDraining(t)
	assert.GreaterOrEqual(t, began.Sub(deleted), 4*time.Second)
	ended := waitExit(t, id)
	assert.Zero(t, ended.Status)
	record("preStop sleep of 5 s", "ready 200 and no `Connection: close` until %s, then the drain; exit %d at %s",
		seconds(began.Sub(deleted)), ended.Status, seconds(ended.At.Sub(deleted)))
}

// waitDraining waits until the service reports that it drains, and returns the time of the first such answer.
func (p *pod) waitDraining(t *testing.T) time.Time {
	t.Helper()
	eventually(t, 30*time.Second, p.name+" drains", func() bool {
		_, members, err := p.get("ready/")
		return err == nil && string(members["reason"]) == `"draining"`
	})
	return time.Now()
}

func (p *pod) address() string { return strings.TrimPrefix(p.url, "http://") }

func (p *pod) accepts() bool {
	conn, err := net.Dial("tcp", p.address())
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

func sleepUntil(moment time.Time) { time.Sleep(time.Until(moment)) }

// post is a request whose body is not complete.
type post struct{ conn net.Conn }

const note = "text=milk"

func startPost(t *testing.T, p *pod) post {
	t.Helper()
	conn, err := net.Dial("tcp", p.address())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "POST /notes HTTP/1.1\r\nHost: example\r\nContent-Type: application/x-www-form-urlencoded\r\n"+
		"Content-Length: %d\r\n\r\n%s", len(note), note[:4])
	require.NoError(t, err)
	return post{conn}
}

func (p post) finish() (*http.Response, error) {
	if _, err := io.WriteString(p.conn, note[4:]); err != nil {
		return nil, err
	}
	_ = p.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	return http.ReadResponse(bufio.NewReader(p.conn), nil)
}

// load requests the notes continuously, over kept connections and over new connections.
type load struct {
	done chan struct{}
	wait sync.WaitGroup

	mu                       sync.Mutex // guards the fields below
	draining                 bool
	answers, kept, drainTime int
	failures                 []string
}

func startLoad(p *pod) *load {
	l := &load{done: make(chan struct{})}
	for i := range 8 {
		transport := &http.Transport{DisableKeepAlives: i%4 == 0}
		client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
		l.wait.Go(func() {
			for {
				select {
				case <-l.done:
					transport.CloseIdleConnections()
					return
				case <-time.After(20 * time.Millisecond):
					l.ask(client, p.url+"/notes")
				}
			}
		})
	}
	return l
}

func (l *load) ask(client *http.Client, url string) {
	l.mu.Lock()
	draining := l.draining
	l.mu.Unlock()
	response, err := client.Get(url)
	if err == nil {
		_, err = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answers++
	switch {
	case err != nil:
		l.failures = append(l.failures, err.Error())
	case response.StatusCode != http.StatusOK:
		l.failures = append(l.failures, response.Status)
	case draining:
		l.drainTime++
		if !response.Close {
			l.kept++
		}
	}
}

// markDraining records that from now on every answer must close its connection.
func (l *load) markDraining() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.draining = true
}

func (l *load) stop() {
	close(l.done)
	l.wait.Wait()
}

func (l *load) assert(t *testing.T) {
	t.Helper()
	assert.Empty(t, l.failures)
	assert.Positive(t, l.drainTime)
	assert.Zero(t, l.kept, "answers of a draining service that keep their connection")
}

func (l *load) summary() string {
	return fmt.Sprintf("%d of %d requests failed; %d answers while draining, all with `Connection: close`",
		len(l.failures), l.answers, l.drainTime)
}
