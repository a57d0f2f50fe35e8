package probes_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

func ExampleFunc() {
	licence := probes.Func(func(context.Context) error {
		daysLeft := 12
		if daysLeft < 30 {
			return probes.Warn("licence_expires", fmt.Errorf("%d days left", daysLeft))
		}
		return nil
	})
	result := licence.Check(context.Background())
	fmt.Println(result.Status, result.Reason)
	// Output: warning licence_expires
}

func ExampleFail() {
	quota := probes.Func(func(context.Context) error {
		return probes.Fail("quota_exhausted", errors.New("HTTP 402 from the mail provider"))
	})
	result := quota.Check(context.Background())
	fmt.Println(result.Status, result.Reason)
	// Output: error quota_exhausted
}

func ExampleNewHeartbeat() {
	consumer := probes.NewHeartbeat(time.Minute)
	for range 3 { // the loop that the heartbeat watches
		consumer.Beat()
	}
	fmt.Println(consumer.Check(context.Background()).Status)
	// Output: ok
}
