package faults_test

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/echo-probes/echohealth/internal/leaktest"
	"github.com/echo-probes/echohealth/internal/testserver"
)

var write = flag.Bool("write", false, "write the tables of docs/reliability.md and its appendix, instead of comparing with them")

func TestMain(m *testing.M) {
	flag.Parse()
	// Scenes wait more than they compute, so the number of processors must not limit them.
	if err := flag.Set("test.parallel", "32"); err != nil {
		fail(err)
	}
	endNames, err := names.serve()
	if err != nil {
		fail(err)
	}
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() { goroutines.take(done) })
	watching.Go(func() { stalled.measure(done) })
	code := testserver.Run(m)
	close(done)
	watching.Wait()
	endNames()
	os.Exit(leaktest.Check(code))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
