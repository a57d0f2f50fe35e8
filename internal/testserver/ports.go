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

// FreePort returns a port of 127.0.0.1 on which no program listens, so that connecting to it is refused. No
// other call in this test binary returns the same port.
func FreePort(t testing.TB) int {
	t.Helper()
	listener := listenFree(t)
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port
}

// firstPort is the lowest port that listenFree uses. It is above the default ports of well-known servers.
const firstPort = 10240

// handedOut holds the ports of all servers and tests so far. A port stays in it when its server has stopped,
// so that no other server gets this port.
var handedOut struct {
	mu    sync.Mutex // guards ports
	ports map[int]bool
}

// listenFree listens on a port that was not handed out before. The port is below the
// range for outgoing connections, because an outgoing connection could take a server's
// port while the server is stopped.
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

// reserve reserves port, and reports whether port was not reserved before.
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

// ephemeralStart returns the first port of the range for outgoing connections. It returns Linux's default if
// the range is unknown or leaves too few ports between firstPort and itself.
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
