package celeryprobe_test

import (
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/echo-probes/echohealth/probes/celeryprobe"
)

func ExampleNew() {
	probe := celeryprobe.New("pyamqp://app:secret@rabbit:5672//",
		celeryprobe.Queues("celery", "mail"),
		celeryprobe.PendingThreshold(1000, 10_000),
		celeryprobe.PingWorkers(2),
	)
	fmt.Println(probe.Validate())
	// Output: <nil>
}

func ExampleNew_refused() {
	probe := celeryprobe.New("redis://:secret@redis:6379/0?healthcheck_interval=30")
	fmt.Println(probe.Validate())
	// Output: broker URL "redis://***@redis:6379/0?***": unknown option "healthcheck_interval"
}

func ExampleNew_sentinel() {
	probe := celeryprobe.New("sentinel://:secret@a:26379/0;sentinel://b:26379", celeryprobe.MasterName("broker"))
	fmt.Println(probe.Validate())
	// Output: <nil>
}

func ExampleRedis() {
	client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "broker", SentinelAddrs: []string{"sentinel:26379"}})
	defer client.Close()
	probe := celeryprobe.Redis(client, celeryprobe.GlobalKeyPrefix("app:"))
	fmt.Println(probe.Validate())
	// Output: <nil>
}
