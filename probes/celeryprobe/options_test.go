package celeryprobe_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/echo-probes/echohealth/probes/celeryprobe"
)

// The test has invalid arguments of the options, and arguments that are just valid.
func TestOptions(t *testing.T) {
	const rabbit, redis = "amqp://rabbit/", "redis://cache/"
	type options = []celeryprobe.Option
	ping, long := celeryprobe.PingWorkers(1), strings.Repeat("n", 255)
	tests := []struct {
		url, want string // want is "" if the options are valid
		opts      options
	}{
		{rabbit, "celeryprobe.PingWorkers(0): the number must be at least 1", options{celeryprobe.PingWorkers(0)}},
		{rabbit, "celeryprobe.ExpectWorkers(): there must be at least one name", options{celeryprobe.ExpectWorkers()}},
		{rabbit, `celeryprobe.ExpectWorkers: "a" is given twice`,
			options{celeryprobe.ExpectWorkers("a", "a")}},
		{rabbit, "celeryprobe.PingEvery(999.999999ms): the duration must be at least 1s",
			options{ping, celeryprobe.PingEvery(time.Second - 1)}},
		{rabbit, "", options{ping, celeryprobe.PingEvery(time.Second)}},
		{rabbit, "", options{celeryprobe.ExpectWorkers("a"), celeryprobe.PingEvery(time.Second)}},
		{rabbit, "", options{celeryprobe.RequireConsumers(), celeryprobe.PingEvery(time.Second)}},
		{rabbit, "celeryprobe.PingEvery needs PingWorkers, ExpectWorkers or RequireConsumers",
			options{celeryprobe.PingEvery(time.Second)}},
		{rabbit, "celeryprobe.ControlExchange needs PingWorkers", options{celeryprobe.ControlExchange("c")}},
		{rabbit, `celeryprobe.ControlExchange: "": a`, options{ping, celeryprobe.ControlExchange("")}},
		{rabbit, "", options{celeryprobe.Queues(long)}},
		{rabbit, "a name must have 1 to 255 bytes", options{celeryprobe.Queues(long + "n")}},
		{redis, "", options{celeryprobe.PrioritySteps(0, 1), celeryprobe.Separator(":")}},
		{redis, "the steps must be in ascending order", options{celeryprobe.PrioritySteps(1, 0)}},
		{redis, "celeryprobe.FanoutPrefix needs PingWorkers", options{celeryprobe.FanoutPrefix("/a.")}},
		{redis, "", options{ping, celeryprobe.FanoutPrefix("")}},
		{redis, "", options{ping, celeryprobe.FanoutPrefix("/a.")}},
		{redis, `celeryprobe.FanoutPrefix("a."): the prefix must begin with a slash`,
			options{ping, celeryprobe.FanoutPrefix("a.")}},
		{redis, `celeryprobe.FanoutPrefix("/a"): the prefix`, options{ping, celeryprobe.FanoutPrefix("/a")}},
		{redis, `celeryprobe.FanoutPrefix("/a.b."): the prefix`, options{ping, celeryprobe.FanoutPrefix("/a.b.")}},
		{rabbit, "celeryprobe.Separator is for Redis", options{celeryprobe.Separator(":")}},
		{rabbit, "celeryprobe.PrioritySteps is for Redis", options{celeryprobe.PrioritySteps(0)}},
		{rabbit, "celeryprobe.FanoutPrefix is for Redis", options{ping, celeryprobe.FanoutPrefix("")}},
	}
	for _, test := range tests {
		err := celeryprobe.New(test.url, test.opts...).Validate()
		if test.want == "" {
			assert.NoError(t, err)
		} else {
			assert.ErrorContains(t, err, test.want)
		}
	}
}
