package leaktest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"

	"github.com/echo-probes/echohealth/internal/leaktest"
)

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	failed bool
}

func (*recorder) Helper()        {}
func (r *recorder) Error(...any) { r.failed = true }

func TestVerify(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := goleak.IgnoreCurrent()
		leaktest.Verify(t, before)
		go time.Sleep(9 * time.Second)
		leaktest.Verify(t, before)

		end := make(chan struct{})
		defer close(end)
		go func() { <-end }()
		var leaking recorder
		leaktest.Verify(&leaking, before)
		assert.True(t, leaking.failed)
		assert.ErrorContains(t, leaktest.Find(before), "leaktest_test.TestVerify")
	})
}
