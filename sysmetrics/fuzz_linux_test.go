package sysmetrics

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
)

// FuzzProc is FuzzCgroup for the files of the whole machine.
func FuzzProc(f *testing.F) {
	f.Add("cpu  100 2 30 5000 400 1 5 7 50 1\ncpu0 1\nintr 9\n")
	f.Add("cpu 18446744073709551615 1 1 1 1 1 1 1")
	f.Add("MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:    400 kB\nBuffers: 3 kB\n")
	f.Add("MemTotal: 18014398509481985 kB\nMemAvailable: 18014398509481984 kB\n")
	f.Add("Ip: Forwarding\nIp: 1\nTcp: RtoAlgorithm CurrEstab InSegs\nTcp: 1 17 3667\n")
	f.Add("Tcp: CurrEstab\nTcp: 18446744073709551615\n")

	f.Fuzz(func(t *testing.T, content string) {
		files := fixture("proc/stat", content, "proc/meminfo", content, "proc/net/snmp", content)
		if times, err := procStat(files); err != nil {
			assert.Zero(t, times)
		} else {
			assert.True(t, 0 <= times.busy && times.busy <= times.total && times.total < math.MaxFloat64, "%+v", times)
		}
		if memory, err := procMeminfo(files); err != nil {
			assert.Zero(t, memory)
		} else {
			assert.LessOrEqual(t, memory.available, memory.total)
			assert.GreaterOrEqual(t, memory.total, uint64(1<<10), "it is more than a kilobyte")
			assert.Less(t, memory.total, uint64(math.MaxInt64))
		}
		connections := measureConnections(files)
		assert.GreaterOrEqual(t, connections.Active, 0)
		if connections.Err != nil {
			assert.Zero(t, connections.Active)
		}
	})
}
