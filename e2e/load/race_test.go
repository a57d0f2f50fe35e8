//go:build race

package load_test

import "time"

// floor is higher with the race detector, because its atomic operations become slower with each goroutine
// that was started.
const floor = 5 * time.Microsecond
