package amqpprobe_test

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
)

// names is the name server of the test process. It runs until the end of the process, because a lookup may
// last longer than the call that began it.
var names nameServer

// nameServer resolves only the name "rabbit.test", to 127.0.0.1, unless gone is true.
type nameServer struct{ gone atomic.Bool }

// serve makes n the name server of the process.
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

// answer returns the answer to a query (RFC 1035, section 4). A query has a header of 12 bytes, then the
// name, the type and the class.
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
		reply = append(reply, 0xc0, header, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1) // an answer with a lifetime of 0 s
	}
	return reply
}
