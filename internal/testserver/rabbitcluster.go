package testserver

import (
	"os"
	"path/filepath"
	"testing"
)

// NewRabbitMQCluster starts a cluster of two RabbitMQ nodes that end with the test. The start takes about ten
// seconds. Each node has its own URL and Addr. Both have the same users and queues. The test may stop and
// start the second node.
func NewRabbitMQCluster(t testing.TB) (first, second *RabbitMQ) {
	t.Helper()
	// All nodes use the same port for the distribution protocol, so each needs a different address.
	first = &RabbitMQ{host: "127.0.0.2"}
	first.begin(t)
	first.endWith(t)
	second = &RabbitMQ{host: "127.0.0.3", first: first}
	second.begin(t)
	second.endWith(t)
	second.Ctl(t, "stop_app")
	second.Ctl(t, "join_cluster", first.node())
	second.Ctl(t, "start_app")
	return first, second
}

// node returns the node's name.
func (q *RabbitMQ) node() string {
	if q.host == "" {
		return rabbitNode
	}
	return "rabbit@" + q.host
}

// takeCookie gives the node the Erlang cookie of the cluster's first node, because all nodes of a cluster
// must have the same cookie.
func (q *RabbitMQ) takeCookie() error {
	if q.first == nil {
		return nil
	}
	const name = ".erlang.cookie"
	cookie, err := os.ReadFile(filepath.Join(q.first.dir, name))
	if err != nil {
		return err
	}
	file := filepath.Join(q.dir, name)
	if err := os.WriteFile(file, cookie, 0o400); err != nil || q.account == nil {
		return err
	}
	return give(q.account, file)
}
