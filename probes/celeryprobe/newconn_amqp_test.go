package celeryprobe_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
)

// The kept connection works although the broker refuses new ones. The attempts leave nothing on the broker.
func TestAMQPNewConnections(t *testing.T) {
	noLeaks(t)
	rabbit := testserver.SharedRabbitMQ(t)
	declare(t, channel(t, rabbit), "fresh", 0)
	consume(t, channel(t, rabbit), "fresh", 1)
	rabbit.Ctl(t, "add_user", "fresh", "a-secret")
	t.Cleanup(func() { rabbit.Ctl(t, "delete_user", "fresh") })
	rabbit.Ctl(t, "set_permissions", "fresh", ".*", ".*", ".*")
	probe := celeryprobe.New((&url.URL{
		Scheme: "amqp", User: url.UserPassword("fresh", "a-secret"), Host: rabbit.Addr(), Path: "/",
	}).String(), celeryprobe.Queues("fresh"), celeryprobe.NewConnectionEvery(100*time.Millisecond))
	defer probe.Close()
	requireOK(t, check(t, probe), queues(0, 1)...)

	rabbit.Ctl(t, "change_password", "fresh", "another-secret")
	eventually(t, probe, probes.Warning, probes.ReasonAuthenticationFailed, queues(0, 1)...)
	rabbit.Ctl(t, "change_password", "fresh", "a-secret")
	eventually(t, probe, probes.OK, "", queues(0, 1)...)

	rabbit.Ctl(t, "set_user_limits", "fresh", `{"max-connections":1}`)
	eventually(t, probe, probes.Warning, probes.ReasonTooManyConnections, queues(0, 1)...)
	rabbit.Ctl(t, "clear_user_limits", "fresh", "all")
	eventually(t, probe, probes.OK, "", queues(0, 1)...)

	require.NoError(t, probe.Close())
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		assert.Zero(c, strings.Count(rabbit.Ctl(t, "list_connections", "user"), "fresh"))
	}, 20*time.Second, 100*time.Millisecond)
}
