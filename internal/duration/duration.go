// Package duration has the functions that several options with a duration use.
package duration

import (
	"math/rand/v2"
	"time"
)

// Longest is the longest duration that an option accepts, a year. Sums of such durations cannot overflow.
const Longest = 365 * 24 * time.Hour

// Jittered returns a random duration within 10 % of d, so that the replicas of a service do not act at the
// same time.
func Jittered(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}
