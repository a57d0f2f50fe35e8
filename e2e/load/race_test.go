//go:build race

package load_test

import "time"

// floor is higher with the race detector, which takes longer for an atomic operation the more goroutines there have been.
const floor = 5 * time.Microsecond
