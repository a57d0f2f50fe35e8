package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
)

// clients is the number of connections that send requests at the same time.
const clients = 16

// served is how many requests per second a subject answers over HTTP on the loopback interface.
type served struct {
	name, note, against string
	perSecond           []float64 // one value for each round
}

func (s served) median() float64 { return median(s.perSecond) }

func (s served) ratio(to served) float64 {
	ratios := make([]float64, len(s.perSecond))
	for i := range ratios {
		ratios[i] = s.perSecond[i] / to.perSecond[i]
	}
	return median(ratios)
}

// These are the subjects that answer on the application's own route.
const (
	httpWithout = "without"
	httpControl = "without, once more"
	httpWith    = "with echohealth, e.Use"
)

// target is a subject that answers over HTTP, with the instance that serves it.
type target struct {
	served
	*instance
}

// overHTTP measures in rounds how fast two kinds of route answer: the application's own route with and
// without the middleware, and the readiness endpoint of each library.
func overHTTP(rounds int, length time.Duration) (own, readiness []served, err error) {
	h, err := newHealth()
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = h.Close() }()
	plain := func(*echo.Echo) {}
	if own, err = inRounds(rounds, length, []target{
		{
			served{name: httpWithout, note: "an Echo service, a route that answers hello"},
			onlyHandler(greeter(plain), appPath),
		},
		{
			served{name: httpControl, note: "the control: how much two equal services differ", against: httpWithout},
			onlyHandler(greeter(plain), appPath),
		},
		{
			served{name: "with a no-op middleware, e.Use", against: httpWithout},
			onlyHandler(greeter(use(noOp)), appPath),
		},
		{served{name: httpWith, against: httpWithout}, onlyHandler(greeter(use(h.Middleware)), appPath)},
	}); err != nil {
		return nil, nil, err
	}
	_, body := onlyHandler(h, readyPath).get()
	targets := []target{
		{
			served{name: limitUse, note: "the same headers and body, made once"},
			onlyHandler(greeter(use(newStatic(body).middleware)), readyPath),
		},
		{served{name: oursUse, against: limitUse}, onlyHandler(greeter(use(h.Middleware)), readyPath)},
	}
	for _, lib := range libraries[1:] {
		i, err := openWell(lib, settings{checks: three(well)})
		if err != nil {
			return nil, nil, err
		}
		defer i.close()
		targets = append(targets, target{served{name: lib.name, note: lib.does, against: limitUse}, i})
	}
	readiness, err = inRounds(max(3, rounds/3), length, targets)
	return own, readiness, err
}

func greeter(add func(*echo.Echo)) *echo.Echo {
	e := echo.New()
	add(e)
	e.GET(appPath, func(c echo.Context) error { return c.String(http.StatusOK, "hello") })
	return e
}

// inRounds measures all targets in each round, in the orders that interleave uses.
func inRounds(rounds int, length time.Duration, targets []target) ([]served, error) {
	addresses := make([]string, len(targets))
	all := make([]served, len(targets))
	for i, t := range targets {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		go func() { _ = t.serve(listener) }() // ends when the listener is closed
		addresses[i], all[i] = listener.Addr().String(), t.served
	}
	const warmUp = 2
	for round := range rounds + warmUp {
		for _, i := range order(round, len(targets)) {
			runtime.GC()
			perSecond, err := load(addresses[i], targets[i].path, length)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", targets[i].name, err)
			}
			if round >= warmUp {
				all[i].perSecond = append(all[i].perSecond, perSecond)
			}
		}
	}
	return all, nil
}

// load sends requests over all clients at the same time for as long as length. Each client keeps its
// connection. load returns how many requests per second were answered.
//
// It does not use net/http's client, because this client would use more of the CPUs, which both share, than
// the server itself.
func load(address, path string, length time.Duration) (float64, error) {
	var answered atomic.Int64
	errs := make([]error, clients)
	began := time.Now()
	end := began.Add(length)
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() { errs[i] = keepAsking(address, path, end, &answered) })
	}
	wg.Wait()
	return float64(answered.Load()) / time.Since(began).Seconds(), errors.Join(errs...)
}

func keepAsking(address, path string, end time.Time, answered *atomic.Int64) error {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	request := []byte("GET " + path + " HTTP/1.1\r\nHost: " + address + "\r\n\r\n")
	reader := bufio.NewReader(conn)
	for { // at least one request, even if the machine is so busy that the time is over
		if _, err := conn.Write(request); err != nil {
			return err
		}
		if err := readAnswer(reader); err != nil {
			return err
		}
		answered.Add(1)
		if !time.Now().Before(end) {
			return nil
		}
	}
}

var contentLength = []byte("Content-Length: ")

// readAnswer reads one answer. Its status must be 200, and it must have a Content-Length.
func readAnswer(r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("the answer is %q", line)
	}
	length := -1
	for len(line) > len("\r\n") {
		if line, err = r.ReadSlice('\n'); err != nil {
			return err
		}
		if value, ok := bytes.CutPrefix(line, contentLength); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("the answer does not say its length")
	}
	_, err = r.Discard(length)
	return err
}
