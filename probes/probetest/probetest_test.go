package probetest_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/probetest"
)

// server answers each line with the same line, in the test's process, until it hangs.
type server struct {
	listener net.Listener
	mu       sync.Mutex // locked while the server hangs
}

func newServer(t *testing.T) *server {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &server{listener: listener}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		wg.Wait()
	})
	return s
}

func (s *server) serve(conn net.Conn) {
	defer conn.Close()
	for lines := bufio.NewScanner(conn); lines.Scan(); {
		s.mu.Lock()
		_, err := conn.Write(append(lines.Bytes(), '\n'))
		s.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (s *server) hang(t *testing.T) {
	s.mu.Lock()
	t.Cleanup(s.mu.Unlock)
}

// served is the function in which the server's goroutines run.
const served = "probetest_test.(*server).serve"

// lineProbe keeps a connection, like the probes of this module.
type lineProbe struct {
	address string
	sem     chan struct{} // allows one user of conn at a time
	conn    net.Conn
	closed  bool
}

func newLineProbe(address string) *lineProbe {
	return &lineProbe{address: address, sem: make(chan struct{}, 1)}
}

func (p *lineProbe) Check(ctx context.Context) probes.Result {
	select {
	case p.sem <- struct{}{}:
		defer func() { <-p.sem }()
	case <-ctx.Done():
		return probes.FromError(ctx.Err())
	}
	if p.closed {
		return probes.FromError(probes.Fail(probes.ReasonClientClosed, errors.New("closed")))
	}
	err := p.ask(ctx)
	if err != nil && p.conn != nil {
		p.conn.Close()
		p.conn = nil
	}
	return probes.FromError(err)
}

func (p *lineProbe) ask(ctx context.Context) error {
	if p.conn == nil {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", p.address)
		if err != nil {
			return err
		}
		p.conn = conn
	}
	conn := p.conn
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write([]byte("?\n")); err != nil {
		return err
	}
	_, err := io.ReadFull(conn, make([]byte, 2))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func (p *lineProbe) Close() error {
	p.sem <- struct{}{}
	defer func() { <-p.sem }()
	p.closed = true
	if p.conn == nil {
		return nil
	}
	err := p.conn.Close()
	p.conn = nil
	return err
}

func (p *lineProbe) Validate() error  { return nil }
func (p *lineProbe) Advise() []string { return []string{"set a limit for " + p.address} }

func TestGoodProbe(t *testing.T) {
	s := newServer(t)
	probetest.Run(t, func(*testing.T) probes.Probe { return newLineProbe(s.listener.Addr().String()) }, probetest.Options{
		Hang:    s.hang,
		Secrets: []string{"app-secret"},
		Hidden:  []string{"127.0.0.1"},
		Ignore:  []string{served},
	})
}

func TestGoodProbeOfAFailedDependency(t *testing.T) {
	s := newServer(t)
	s.listener.Close()
	probetest.Run(t, func(*testing.T) probes.Probe { return newLineProbe(s.listener.Addr().String()) }, probetest.Options{
		Want:   probes.Error,
		Hidden: []string{"127.0.0.1"},
	})
}

// The zero Options describe a probe that is always ok. The documentation promises how often Run calls
// newProbe and Hang.
func TestCalls(t *testing.T) {
	var made, hung atomic.Int64
	var last *testing.T
	down := make(map[*testing.T]bool)
	probetest.Run(t, func(t *testing.T) probes.Probe {
		made.Add(1)
		last = t
		return probes.Func(func(context.Context) error {
			if down[t] {
				return probes.Fail(probes.ReasonTimeout, nil)
			}
			return nil
		})
	}, probetest.Options{Hang: func(t *testing.T) {
		hung.Add(1)
		require.Same(t, last, t, "the subtest's own")
		down[t] = true
	}})
	require.EqualValues(t, 7, made.Load())
	require.EqualValues(t, 2, hung.Load())
}
