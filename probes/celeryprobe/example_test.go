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
	probe := celeryprobe.New("redis://:secret@a:6379/0;redis://:secret@b:6379/0")
	fmt.Println(probe.Validate())
	// Output: broker URL "redis://***@b:6379/0": it names several brokers: give the URL of one, and make a check for each
}

func ExampleRedis() {
	client := redis.NewFailoverClient(&redis.FailoverOptions{MasterName: "broker", SentinelAddrs: []string{"sentinel:26379"}})
	defer client.Close()
	probe := celeryprobe.Redis(client, celeryprobe.GlobalKeyPrefix("app:"))
	fmt.Println(probe.Validate())
	// Output: <nil>
}
