// Package leaktest looks for leaked goroutines at the end of a test. goleak alone waits less than half a
// second for goroutines that are ending, which is too short on a busy machine.
package leaktest

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long Find waits for goroutines that are ending.
const patience = 10 * time.Second

// Verify fails the test if goroutines are left. The options say which ones may be left, such as
// goleak.IgnoreCurrent() from the beginning of the test. With no option, no goroutine may be left.
func Verify(t testing.TB, ignored ...goleak.Option) {
	t.Helper()
	if err := Find(ignored...); err != nil {
		t.Error(err)
	}
}

// Find returns an error that lists the goroutines that are left after 10 s, or nil as soon as there are none.
// The options are those of Verify. It is for a TestMain.
func Find(ignored ...goleak.Option) error {
	end := time.Now().Add(patience)
	for {
		err := goleak.Find(ignored...) // waits itself for up to 0.5 s
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}
