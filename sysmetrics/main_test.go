package sysmetrics

import (
	"testing"

	"github.com/echo-probes/echohealth/internal/leaktest"
)

func TestMain(m *testing.M) { leaktest.Main(m) }
