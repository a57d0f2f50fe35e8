package history

import (
	"math"
	"slices"

	"github.com/echo-probes/echohealth/probes"
)

// second is the worst status and the longest response time of a second, in one byte: two bits are the
// status, 0 for none, and six the response time on a logarithmic scale.
type second byte

// The scale begins at scaleStart ms, and each of its levels is scaleStep longer than the one before: its 64
// levels reach to 60 s. Level 0 is shorter than the start.
const (
	scaleStart = 0.05
	scaleStep  = 1.2494
	logStep    = 0.22266344 // its natural logarithm
)

// levels are the middles of the levels.
var levels = func() (ms [64]float32) {
	for level := 1; level < len(ms); level++ {
		ms[level] = float32(scaleStart * math.Exp((float64(level)-.5)*logStep))
	}
	return ms
}()

func newSecond(status probes.Status, ms float32) second {
	level := 0
	if ms >= scaleStart {
		level = min(1+int(math.Log(float64(ms)/scaleStart)/logStep), 63)
	}
	return second(slices.Index(statuses[:], status)+1)<<6 | second(level)
}

func (s second) code() int { return int(s >> 6) }

// ms is the response time, as the middle of its level.
func (s second) ms() float32 {
	return levels[s&63]
}

func (s second) worse(other second) second {
	return max(s>>6, other>>6)<<6 | max(s&63, other&63)
}
