package celeryprobe

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/echo-probes/echohealth/probes"
)

// A worker that cannot write its answer because Redis is full ends with an unrecoverable error. So the probe
// sends a ping only if Redis has room for the answers, or evicts keys to make room. Whether and which keys
// Redis evicts when it reaches its memory limit depends on its eviction policy.

const (
	// headroom is how much memory Redis must have left for the answers.
	headroom = 64 << 10

	// enoughVolatile is a number of volatile keys that take at least headroom in total, because each takes more
	// than 64 bytes.
	enoughVolatile = headroom / 64
)

// headroomValue is written in one transaction with the ping, so that Redis refuses both if it has less than
// headroom left. It must not be written if Redis could evict keys of the application to make room for it.
var headroomValue = strings.Repeat(" ", headroom)

// memory holds the figures of INFO about Redis's memory and keys.
type memory struct {
	policy   string // "" if unknown
	used     int    // bytes that Redis compares with limit
	limit    int    // bytes; 0: no limit
	volatile int    // number of keys with an expiry, which volatile policies may evict
}

// newMemory reads the sections memory and keyspace of INFO. Either section may be empty.
func newMemory(section, keyspace string) memory {
	m := memory{
		policy: infoValue(section, "maxmemory_policy"),
		limit:  infoNumber(section, "maxmemory"),
		used:   infoNumber(section, "used_memory") - infoNumber(section, "mem_not_counted_for_evict"),
	}
	for _, database := range volatileKeys.FindAllStringSubmatch(keyspace, -1) {
		n, _ := strconv.Atoi(database[1]) // can't fail, because there are only digits
		m.volatile += n
	}
	return m
}

var volatileKeys = regexp.MustCompile(`(?m)^db\d+:keys=\d+,expires=(\d+)`)

// headroomTest reports whether to write headroomValue together with the ping. It returns errPingRefused if no
// ping may be sent.
func (m memory) headroomTest() (bool, error) {
	switch {
	case strings.HasPrefix(m.policy, "allkeys-"):
		return false, nil // Redis evicts keys for any write
	case !strings.HasPrefix(m.policy, "volatile-"):
		return true, nil // the policy is noeviction or unknown
	case m.volatile >= enoughVolatile:
		return false, nil
	case m.limit > 0 && m.used > m.limit-headroom:
		return false, fmt.Errorf("%w: %w", errPingRefused, probes.Fail(probes.ReasonOutOfResources, errNoHeadroom))
	}
	return true, nil // there is enough room, so the value evicts nothing
}

var errNoHeadroom = errors.New("Redis has less than 64 KB left below maxmemory, and too few keys that its " +
	"policy may evict; no ping was sent, because a worker that can't write its answer exits")

// infoValue returns the value of a line "name:value" of INFO, or "" if there is no such line.
func infoValue(info, name string) string {
	_, rest, found := strings.Cut("\n"+info, "\n"+name+":")
	if !found {
		return ""
	}
	value, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(value)
}

func infoNumber(info, name string) int {
	n, _ := strconv.Atoi(infoValue(info, name))
	return n
}
