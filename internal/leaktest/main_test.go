package leaktest_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"go.uber.org/goleak"

	"github.com/echo-probes/echohealth/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }

func TestCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := goleak.IgnoreCurrent()
		assert.Equal(t, 0, leaktest.Check(0, before))
		end := make(chan struct{})
		defer close(end)
		go func() { <-end }()
		assert.Equal(t, 1, leaktest.Check(0, before))
		assert.Equal(t, 2, leaktest.Check(2, before))
	})
}
