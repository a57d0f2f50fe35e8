package celeryprobe_test

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
)

// Each worker answers, so both count. RabbitMQ passes a ping to only one of them: then the text says why one is
// missing. See https://github.com/celery/celery/issues/2938.
func TestWorkersOfOneName(t *testing.T) {
	onBoth(t, func(t *testing.T, url string, consumers func(int) []slog.Attr) {
		worker(t, url, "one")
		worker(t, url, "one")
		result := check(t, newProbe(t, url, celeryprobe.PingWorkers(2)))
		if consumers(0) == nil {
			requireOK(t, result, found(nil, workers(2))...)
			result = check(t, newProbe(t, url, celeryprobe.PingWorkers(3)))
		} else {
			requireWarning(t, probes.ReasonMissingWorkers, result, found(consumers(2), workers(1))...)
		}
		assert.ErrorContains(t, result.Err, `several workers share each of the names ["one@test"]`)
	})
}
