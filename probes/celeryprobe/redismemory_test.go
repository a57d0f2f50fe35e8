package celeryprobe

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestHeadroom(t *testing.T) {
	const (
		roomy  = "used_memory:1000000\r\nmem_not_counted_for_evict:50000\r\nmaxmemory:1020000\r\n"
		tight  = "used_memory:1000000\r\nmem_not_counted_for_evict:0\r\nmaxmemory:1020000\r\n"
		noMax  = "used_memory:1000000\r\nmaxmemory:0\r\n"
		none   = "# Keyspace\r\n"
		few    = none + "db0:keys=9000,expires=1000,avg_ttl=5\r\ndb11:keys=5,expires=23,avg_ttl=5\r\n"
		enough = none + "db0:keys=9000,expires=1000,avg_ttl=5,subexpiry=0\r\ndb11:keys=50,expires=24,avg_ttl=5,subexpiry=0\r\n"
	)
	tests := []struct {
		policy, memory, keyspace string
		test, refused            bool
	}{
		{"noeviction", noMax, none, true, false}, {"noeviction", tight, enough, true, false},
		{"allkeys-lru", tight, none, false, false}, {"allkeys-lrm", tight, few, false, false},
		{"volatile-lru", tight, enough, false, false}, {"volatile-ttl", roomy, enough, false, false},
		{"volatile-lfu", tight, few, false, true}, {"volatile-random", tight, none, false, true},
		{"volatile-lru", roomy, few, true, false}, {"volatile-lru", noMax, none, true, false},
		{"", tight, none, true, false}, {"", "", "", true, false},
	}
	for _, test := range tests {
		section := "# Memory\r\n" + test.memory
		if test.policy != "" {
			section += "maxmemory_human:1M\r\nmaxmemory_policy:" + test.policy + "\r\n"
		}
		got, err := newMemory(section, test.keyspace).headroomTest()
		name := fmt.Sprintf("%+v", test)
		assert.Equal(t, test.test, got, name)
		if test.refused {
			assert.ErrorIs(t, err, errPingRefused, name)
		} else {
			assert.NoError(t, err, name)
		}
	}
}
