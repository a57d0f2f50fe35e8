package celeryprobe_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
)

// Only the probe needs the queue for the workers' answers. If the broker refuses it, the application still
// sends tasks, so the check is never an error.
func TestAMQPMailboxIsRefused(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.NewRabbitMQ(t)
	ch := channel(t, rabbit)
	declare(t, ch, "celery", 2)
	consume(t, channel(t, rabbit), "celery", 1)
	// The exchange of a worker's mailbox, without which the probe sends no ping.
	require.NoError(t, ch.ExchangeDeclare("celery.pidbox", "fanout", false, false, false, false, nil))
	require.NoError(t, ch.ExchangeDeclare("reply.celery.pidbox", "direct", false, false, false, false, nil))
	oneChannel := newProbe(t, rabbit.URL()+"?channel_max=1", celeryprobe.PingWorkers(1))
	for range 3 {
		requireWarning(t, probes.ReasonTooManyConnections, check(t, oneChannel), queues(1, 1)...)
	}
	rabbit.Ctl(t, "add_user", "narrow", "a-secret")
	for _, test := range []struct {
		name       string
		limit, end []string
		want       probes.Reason
	}{
		{"permission", []string{"set_permissions", "narrow", "^celery$", ".*", ".*"},
			[]string{"set_permissions", "narrow", ".*", ".*", ".*"}, probes.ReasonPermissionDenied},
		{"queues", []string{"set_vhost_limits", `{"max-queues": 1}`},
			[]string{"set_vhost_limits", "{}"}, probes.ReasonOutOfResources},
		{"channels", []string{"set_user_limits", "narrow", `{"max-channels": 1}`},
			nil, probes.ReasonTooManyConnections},
	} {
		t.Run(test.name, func(t *testing.T) {
			rabbit.Ctl(t, test.limit...)
			for _, opts := range [][]celeryprobe.Option{nil, {celeryprobe.Strict()}} {
				opts = append(opts, celeryprobe.PingWorkers(1))
				// RabbitMQ counts a user's channels with a delay. It counts those of a closed connection for a moment,
				// and may allow a channel over the limit for as long as a connection lives. So each attempt has its own.
				require.EventuallyWithT(t, func(c *assert.CollectT) {
					probe := celeryprobe.New(as(t, "narrow", rabbit.URL()), opts...)
					defer probe.Close()
					for range 2 {
						result := probe.Check(t.Context())
						assert.Equal(c, probes.Warning, result.Status, "%v", result.Err)
						assert.Equal(c, test.want, result.Reason, "%v", result.Err)
						assert.Equal(c, queues(1, 1), result.Details, "%v", result.Err)
					}
				}, 30*time.Second, 20*time.Millisecond)
			}
			if test.end != nil {
				rabbit.Ctl(t, test.end...)
			}
		})
	}
}
