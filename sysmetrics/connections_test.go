package sysmetrics

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestConnections(t *testing.T) {
	const (
		head   = "Ip: Forwarding DefaultTTL\nIp: 1 64\n"
		names  = "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens CurrEstab InSegs\n"
		values = "Tcp: 1 200 120000 -1 42 17 3667\n"
		tail   = "Udp: InDatagrams\nUdp: 5\n"
	)
	tests := []struct {
		name, content string
		want          int
		err           string
	}{
		{"as the kernel writes it", head + names + values + tail, 17, ""},
		{"empty", "", 0, "no CurrEstab"},
		{"no values", head + names + tail, 0, "no CurrEstab"},
		{"too few values", head + names + "Tcp: 1 200\n", 0, "no CurrEstab"},
		{"another name", "Tcp: InSegs\nTcp: 5\n", 0, "no CurrEstab"},
		{"below zero", names + "Tcp: 1 2 3 4 5 18446744073709551615 7\n", 0, `"18446744073709551615" is not a count`},
		{"not a number", names + "Tcp: 1 2 3 4 5 many 7\n", 0, `"many" is not a count`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := measureConnections(fixture("proc/net/snmp", tt.content))
			assert.Equal(t, tt.want, got.Active)
			if tt.err == "" {
				assert.NoError(t, got.Err)
			} else {
				assert.ErrorContains(t, got.Err, tt.err)
			}
		})
	}
	assert.ErrorIs(t, measureConnections(fixture()).Err, fs.ErrNotExist)
	assert.ErrorIs(t, measureConnections(nil).Err, ErrUnsupported)
}
