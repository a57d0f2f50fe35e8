package history

import (
	"math"
	"slices"

	"github.com/echo-probes/echohealth/probes"
)

// second holds the worst status and the longest response time of a second in one byte. Two bits are the
// status, which is 0 without data. Six bits are the response time on a logarithmic scale.
type second byte

// The scale of response times has 64 levels. Level 0 is below scaleStart ms. Level 1 begins there, and the
// upper bound of each level is scaleStep times that of the level before. The last level ends at about 60 s.
const (
	scaleStart = 0.05
	scaleStep  = 1.2494
	logStep    = 0.22266344 // the natural logarithm of scaleStep
)

// levels are the response times, in ms, in the middle of each level.
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

// ms returns the response time, rounded to the middle of its level.
func (s second) ms() float32 {
	return levels[s&63]
}

func (s second) worse(other second) second {
	return max(s>>6, other>>6)<<6 | max(s&63, other&63)
}
