package faults_test

import (
	"context"
	"net"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer is the DNS server of the tests. It resolves only the names that were added to it, to 127.0.0.1.
// The tests must not depend on the machine's DNS, because a name that does not resolve is one of the faults.
type nameServer struct {
	conn net.PacketConn

	mu    sync.Mutex // guards known
	known map[string]bool
}

// names receives the queries of every resolver of the process that has no server of its own. All drivers use
// such a resolver.
var names = &nameServer{known: make(map[string]bool)}

// serve makes names the DNS server of the process, and returns the function that ends this.
func (n *nameServer) serve() (end func(), err error) {
	if n.conn, err = net.ListenPacket("udp4", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp4", n.conn.LocalAddr().String())
	}}
	var running sync.WaitGroup
	running.Go(n.answerAll)
	return func() { n.conn.Close(); running.Wait() }, nil
}

func (n *nameServer) set(name string, known bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.known[name] = known
}

func (n *nameServer) knows(name string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.known[strings.TrimSuffix(name, ".")]
}

func (n *nameServer) answerAll() {
	buffer := make([]byte, 4<<10)
	for {
		size, from, err := n.conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		var message dnsmessage.Message
		if err := message.Unpack(buffer[:size]); err != nil || len(message.Questions) != 1 {
			continue
		}
		if answer, err := n.answer(message); err == nil {
			_, _ = n.conn.WriteTo(answer, from)
		}
	}
}

func (n *nameServer) answer(message dnsmessage.Message) ([]byte, error) {
	question := message.Questions[0]
	message.Response, message.Additionals = true, nil
	switch {
	case !n.knows(question.Name.String()):
		message.RCode = dnsmessage.RCodeNameError
	case question.Type == dnsmessage.TypeA:
		message.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: question.Name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET},
			Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
	}
	return message.Pack()
}
