package testserver

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
)

// FreePort returns a port of 127.0.0.1 without a listener, so that connecting to it is refused. No other
// call in this test binary returns the same port.
func FreePort(t testing.TB) int {
	t.Helper()
	listener := listenFree(t)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// firstPort is the lowest port that is handed out: above those that well-known
// servers use by default.
const firstPort = 10240

// handedOut are the ports that were given to a server or a test, so that the port of
// a server that is stopped at the moment goes to no other.
var handedOut struct {
	mu    sync.Mutex // guards ports
	ports map[int]bool
}

// listenFree listens on a port that was not handed out before. It stays below the
// range from which the system takes ports for outgoing connections: one of those could
// otherwise take a server's port while the server is stopped.
func listenFree(t testing.TB) net.Listener {
	t.Helper()
	ports := ephemeralStart() - firstPort
	for range 1000 {
		port := firstPort + rand.IntN(ports)
		if !reserve(port) {
			continue
		}
		if listener, err := net.Listen("tcp4", localAddr(port)); err == nil {
			return listener
		}
	}
	t.Fatalf("found no free port of 127.0.0.1 from %d to %d", firstPort, firstPort+ports-1)
	return nil
}

// reserve reports whether port was free to hand out, and takes it.
func reserve(port int) bool {
	handedOut.mu.Lock()
	defer handedOut.mu.Unlock()
	if handedOut.ports[port] {
		return false
	}
	if handedOut.ports == nil {
		handedOut.ports = make(map[int]bool)
	}
	handedOut.ports[port] = true
	return true
}

// ephemeralStart returns the first port of the range for outgoing connections, or
// Linux's default where it is not known or leaves too little room below it.
func ephemeralStart() int {
	const linuxDefault, least = 32768, firstPort + 1024
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return linuxDefault
	}
	var first, last int
	if _, err := fmt.Sscan(string(text), &first, &last); err != nil || first < least {
		return linuxDefault
	}
	return first
}

func localAddr(port int) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}
