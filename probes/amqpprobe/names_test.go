package amqpprobe_test

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
)

// names is the DNS of the test binary. It stays to the end, since a lookup may outlast the call that began
// it.
var names nameServer

// nameServer knows one name, "rabbit.test", as 127.0.0.1's, unless it is gone.
type nameServer struct{ gone atomic.Bool }

// serve makes n the DNS of the process.
func (n *nameServer) serve() {
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp4", conn.LocalAddr().String())
	}
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: dial}
	go func() {
		for query := make([]byte, 4096); ; {
			if size, from, err := conn.ReadFrom(query); err == nil {
				conn.WriteTo(n.answer(query[:size]), from)
			}
		}
	}()
}

// answer is the answer to a query (RFC 1035, section 4): a header of 12 bytes, then the question's name, type
// and class.
func (n *nameServer) answer(query []byte) []byte {
	const header, noSuchName, typeA = 12, 3, 1
	end := header + bytes.IndexByte(query[header:], 0) + 1
	reply := append(bytes.Clone(query[:4]), 0, 1, 0, 0, 0, 0, 0, 0) // one question and no answer
	reply = append(reply, query[header:end+4]...)
	reply[2], reply[3] = 0x80, 0
	switch known := !n.gone.Load() && bytes.Equal(query[header:end], []byte("\x06rabbit\x04test\x00")); {
	case !known:
		reply[3] = noSuchName
	case query[end+1] == typeA:
		reply[7] = 1
		reply = append(reply, 0xc0, header, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1) // for 0 s
	}
	return reply
}
