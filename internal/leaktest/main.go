package leaktest

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// Main runs the tests of a package, looks for leaked goroutines if all tests have passed, and exits:
//
//	func TestMain(m *testing.M) { leaktest.Main(m) }
func Main(m *testing.M) { os.Exit(Check(m.Run())) }

// Check returns the exit code for a test binary whose tests have ended with code. The result is 1 if all
// tests have passed and goroutines are left. The options are those of Verify. It is for a TestMain that must
// do more than Main.
func Check(code int, ignored ...goleak.Option) int {
	if code != 0 {
		return code
	}
	if err := Find(ignored...); err != nil {
		fmt.Fprintln(os.Stderr, "all tests have passed, but there are leaked goroutines:", err)
		return 1
	}
	return 0
}
