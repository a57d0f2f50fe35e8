// Package duration has what the durations of options have in common.
package duration

import (
	"math/rand/v2"
	"time"
)

// Longest is the longest duration that an option takes, a year. Sums of it cannot overflow.
const Longest = 365 * 24 * time.Hour

// Jittered returns d, 10 % more or less, so that the replicas of a service do not act in step.
func Jittered(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}
