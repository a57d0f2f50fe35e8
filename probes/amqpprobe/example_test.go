package amqpprobe_test

import (
	"context"
	"fmt"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/echo-probes/echohealth/probes/amqpprobe"
)

func ExampleNew() {
	probe := amqpprobe.New("amqp://app:secret@rabbit:5672/orders?heartbeat=20")
	fmt.Println(probe.Validate())
	// Output: <nil>
}

func ExampleNew_failover() {
	probe := amqpprobe.New("amqp://app:secret@rabbit-1:5672/;amqp://app:secret@rabbit-2:5672/")
	fmt.Println(probe.Validate())
	// Output: <nil>
}

func ExampleNew_refused() {
	probe := amqpprobe.New("amqp://app:secret@rabbit:5672/orders?hartbeat=20")
	fmt.Println(probe.Validate())
	// Output: broker URL "amqp://***@rabbit:5672/orders?***": unknown option "hartbeat"
}

func ExampleFromConn() {
	var current atomic.Pointer[amqp.Connection] // set by whatever connects and reconnects
	probe := amqpprobe.FromConn(current.Load)
	result := probe.Check(context.Background())
	fmt.Println(result.Status, result.Reason)
	// Output: warning dependency_starting
}

func ExampleChannel() {
	var conn atomic.Pointer[amqp.Connection]
	var publishing atomic.Pointer[amqp.Channel]
	probe := amqpprobe.FromConn(conn.Load, amqpprobe.Channel(publishing.Load))
	fmt.Println(probe.Validate())
	// Output: <nil>
}
