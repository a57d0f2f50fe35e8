package celeryprobe

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes"
)

// The check shows which broker of a failover list it uses.
func TestAMQPFailoverList(t *testing.T) {
	rabbit := testserver.SharedRabbitMQ(t)
	refused := fmt.Sprintf("amqp://app:app-secret@127.0.0.1:%d/", testserver.FreePort(t))
	p := New(refused+";"+rabbit.URL(), Queues("missing"))
	require.NoError(t, p.Validate())
	defer p.Close()
	for range 2 {
		result := p.Check(t.Context())
		assert.Equal(t, probes.ReasonNotFound, result.Reason, "%v", result.Err)
		assert.Equal(t, slog.Int("broker", 2), result.Details[len(result.Details)-1])
	}
}
