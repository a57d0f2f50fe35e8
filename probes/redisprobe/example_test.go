package redisprobe_test

import (
	"context"
	"fmt"

	"github.com/echo-probes/echohealth/probes/redisprobe"
	"github.com/redis/go-redis/v9"
)

func Example() {
	rdb := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"}) // no server listens here
	defer rdb.Close()
	probe := redisprobe.New(rdb) // echohealth.WithRedis(probe)
	defer probe.Close()

	result := probe.Check(context.Background())
	fmt.Println(result.Status, result.Err)
	// Output: error dial tcp 127.0.0.1:1: connect: connection refused
}

func ExampleNew_cluster() {
	rdb := redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{"redis-0:6379", "redis-1:6379"}})
	redisprobe.New(rdb) // every master must answer, and the cluster must take a write
}

func ExamplePingOnly() {
	replica := redis.NewClient(&redis.Options{Addr: "replica:6379"})
	redisprobe.New(replica, redisprobe.PingOnly())
}

func ExampleProbe_Advise() {
	rdb := redis.NewClient(&redis.Options{DialerRetries: 1}) // otherwise go-redis's defaults
	defer rdb.Close()
	for _, line := range redisprobe.New(rdb).Advise() {
		fmt.Println(line)
	}
	// Output: the Redis client ignores its callers' deadlines once it waits for an answer (measured: 5s instead of 500ms on a server that hangs): set ContextTimeoutEnabled: true
}
