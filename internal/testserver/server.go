package testserver

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	startLimit = 3 * time.Minute
	stopLimit  = 30 * time.Second
)

// A Server is the part that the servers of this package have in common: an address, and the methods with
// which a test stops, kills, freezes and restarts the server.
type Server struct {
	lifecycle
	port        int
	controlPort int // RabbitMQ's port for the distribution protocol
}

// Addr returns the server's address, "127.0.0.1:port". It stays the same when the server restarts.
func (s *Server) Addr() string { return localAddr(s.port) }

// Port returns the port of Addr.
func (s *Server) Port() int { return s.port }

// open gives a new server its ports and starts it. If another program takes a port before the server does,
// open tries again with other ports.
func (s *Server) open(t testing.TB) {
	t.Helper()
	for range 5 {
		s.port, s.controlPort = FreePort(t), FreePort(t)
		err := s.launch()
		if err == nil {
			return
		}
		if !s.portTaken() {
			s.giveUp(t, err)
		}
	}
	s.giveUp(t, errors.New("its ports were taken again and again"))
}

// accepting returns nil when the server accepts connections.
func (s *Server) accepting() error {
	conn, err := net.DialTimeout("tcp", s.Addr(), time.Second)
	if err == nil {
		conn.Close()
	}
	return err
}

func (s *Server) portTaken() bool {
	log := strings.ToLower(s.output())
	return strings.Contains(log, "address already in use") || strings.Contains(log, "eaddrinuse")
}

// lifecycle is the part of a Server, or of a Celery worker, that manages its processes.
type lifecycle struct {
	name    string         // for error messages
	dir     string         // contains the server's configuration, data and log
	command func() command // returns the command that starts the server
	answers func() error   // returns nil when the server is ready
	stop    syscall.Signal // the signal that asks the server to shut down
	// A shell command, run in dir, that removes what a killed server leaves outside dir.
	cleanup string

	process *process // nil while the server is stopped
	printed int64    // size of the log when the process was started
}

// Start starts the server again after Stop or Kill, on the same port with the same data, and returns when the
// server is ready.
func (l *lifecycle) Start(t testing.TB) {
	t.Helper()
	if l.process != nil && l.process.running() {
		t.Fatalf("%s is running already", l.name)
	}
	if l.process != nil { // the process has ended by itself
		l.process.reap()
	}
	if err := l.launch(); err != nil {
		l.fatal(t, "start", err)
	}
}

// Stop asks the server to shut down, and returns when the server has ended. It thaws a frozen server first.
func (l *lifecycle) Stop(t testing.TB) {
	t.Helper()
	l.requireRunning(t)
	l.process.thaw()
	if err := l.shutDown(); err != nil {
		l.fatal(t, "stop", err)
	}
}

// Kill ends all the server's processes with SIGKILL and returns when they are gone.
func (l *lifecycle) Kill(t testing.TB) {
	t.Helper()
	l.requireRunning(t)
	if err := l.kill(); err != nil {
		l.fatal(t, "kill", err)
	}
}

// Freeze stops all the server's processes with SIGSTOP. The system still accepts connections for the server
// until the listener's queue is full, but the server doesn't answer them.
func (l *lifecycle) Freeze(t testing.TB) {
	t.Helper()
	l.requireRunning(t)
	if err := l.process.freeze(); err != nil {
		l.fatal(t, "freeze", err)
	}
}

// Thaw continues a frozen server.
func (l *lifecycle) Thaw(t testing.TB) {
	t.Helper()
	l.requireRunning(t)
	l.process.thaw()
}

// endWith ends the server when the test ends, and logs the last lines of the server's output if the test
// failed.
func (l *lifecycle) endWith(t testing.TB) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the output of %s ends:\n%s", l.name, l.logTail())
		}
		l.end()
	})
}

// launch starts the process and waits until the server is ready.
func (l *lifecycle) launch() error {
	log, err := os.OpenFile(l.logPath(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	if l.printed, err = log.Seek(0, io.SeekEnd); err != nil {
		return err
	}
	if l.process, err = startProcess(l.command(), l.dir, l.cleanup, log); err != nil {
		return err
	}
	if err := l.awaitAnswer(); err != nil {
		return errors.Join(err, l.kill())
	}
	return nil
}

func (l *lifecycle) awaitAnswer() error {
	var exited error
	err := poll(startLimit, func() error {
		if !l.process.running() {
			exited = errors.New("it exited while starting")
			return nil
		}
		return l.answers()
	})
	return errors.Join(err, exited)
}

func (l *lifecycle) shutDown() error {
	if err := l.process.signal(l.stop); err != nil {
		return err
	}
	if err := l.process.wait(stopLimit); err != nil {
		return err
	}
	l.process = nil
	return nil
}

func (l *lifecycle) kill() error {
	err := l.process.kill()
	l.process = nil
	return err
}

// end kills the server, if it runs, and removes its directory. Start can't start the server again.
func (l *lifecycle) end() {
	if l.process != nil {
		l.kill()
	}
	cleanup := exec.Command("/bin/sh", "-c", l.cleanup)
	cleanup.Dir = l.dir
	cleanup.Run()
	os.RemoveAll(l.dir)
}

func (l *lifecycle) requireRunning(t testing.TB) {
	t.Helper()
	if l.process == nil {
		t.Fatalf("%s is not running", l.name)
	}
	if !l.process.running() {
		l.fatal(t, "find", errors.New("it has exited"))
	}
}

// giveUp removes the directory of a server that has never started, and fails the test.
func (l *lifecycle) giveUp(t testing.TB, err error) {
	t.Helper()
	defer os.RemoveAll(l.dir)
	l.fatal(t, "start", err)
}

func (l *lifecycle) fatal(t testing.TB, action string, err error) {
	t.Helper()
	t.Fatalf("cannot %s %s: %v\nIts output ends:\n%s", action, l.name, err, l.logTail())
}

func (l *lifecycle) logPath() string { return filepath.Join(l.dir, "log") }

// output returns what the server has printed since its last start.
func (l *lifecycle) output() string {
	text, err := os.ReadFile(l.logPath())
	if err != nil {
		return err.Error() // there is no output before the first start
	}
	return string(text[min(l.printed, int64(len(text))):])
}

// logTail returns the last 4 KiB of output.
func (l *lifecycle) logTail() string {
	const enough = 4 << 10
	text := l.output()
	return text[max(0, len(text)-enough):]
}
