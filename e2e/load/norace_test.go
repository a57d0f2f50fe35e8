//go:build !race

package load_test

import "time"

const floor = time.Microsecond
