package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// writeRaw writes each measurement in the format of Go's benchmarks, so that benchstat can compare two runs.
func writeRaw(file string, r *results) error {
	var b strings.Builder
	fmt.Fprintf(
		&b,
		"goos: %s\ngoarch: %s\npkg: github.com/echo-probes/echohealth/bench\ncpu: %s\n",
		runtime.GOOS,
		runtime.GOARCH,
		processor(),
	)
	for _, m := range []*measured{
		r.passThrough, r.live, r.ready, r.detailed, r.metrics, r.due, r.checks, r.routes,
	} {
		for _, s := range m.series {
			for _, x := range s.samples {
				fmt.Fprintf(
					&b,
					"%s\t%d\t%.2f ns/op\t%.0f B/op\t%.0f allocs/op\n",
					rawName(m.name, s.name),
					x.ops,
					x.nanoseconds,
					x.bytes,
					x.allocations,
				)
			}
		}
	}
	for name, all := range map[string][]served{"HTTPOwn": r.own, "HTTPReady": r.readiness} {
		for _, s := range all {
			for _, perSecond := range s.perSecond {
				fmt.Fprintf(&b, "%s\t1\t%.0f requests/s\n", rawName(name, s.name), perSecond)
			}
		}
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}

func rawName(group, subject string) string {
	name := strings.NewReplacer(" ", "_", ",", "", "/", "-").Replace(subject)
	return fmt.Sprintf("Benchmark%s/%s-%d", group, name, runtime.GOMAXPROCS(0))
}
