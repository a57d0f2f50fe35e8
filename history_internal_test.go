package echohealth

import (
	"math"
	"testing"

	"github.com/echo-probes/echohealth/internal/history"
	"github.com/stretchr/testify/assert"
)

func TestAvailabilityIsUnknownWithoutData(t *testing.T) {
	assert.True(t, math.IsNaN(newComponentHistory(history.Component{Name: "redis"}).Availability))
}
