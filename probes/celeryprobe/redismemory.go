package celeryprobe

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/echo-probes/echohealth/probes"
)

// A worker that cannot write its answer because Redis is full ends with an unrecoverable error. So a ping
// goes out only if Redis has room for the answers, or makes room. Which of them holds depends on the policy
// by which Redis evicts keys at its limit of memory.

const (
	// headroom is how much memory Redis must have left for the answers.
	headroom = 64 << 10

	// enoughVolatile is how many volatile keys surely have headroom in all: each takes more than 64 bytes.
	enoughVolatile = headroom / 64
)

// headroomValue is written together with the ping. Redis then refuses both if it has no headroom. A policy
// that evicts would make room for the value, with keys of the application, so it must not be written there.
var headroomValue = strings.Repeat(" ", headroom)

// memory holds the figures of INFO about Redis's memory and keys.
type memory struct {
	policy   string // "" if unknown
	used     int    // the bytes that Redis compares with the limit
	limit    int    // 0: none
	volatile int    // keys with an expiry
}

// newMemory reads the sections memory and keyspace. Either may be empty.
func newMemory(section, keyspace string) memory {
	m := memory{
		policy: infoValue(section, "maxmemory_policy"),
		limit:  infoNumber(section, "maxmemory"),
		used:   infoNumber(section, "used_memory") - infoNumber(section, "mem_not_counted_for_evict"),
	}
	for _, database := range volatileKeys.FindAllStringSubmatch(keyspace, -1) {
		n, _ := strconv.Atoi(database[1]) // digits only
		m.volatile += n
	}
	return m
}

var volatileKeys = regexp.MustCompile(`(?m)^db\d+:keys=\d+,expires=(\d+)`)

// headroomTest returns whether to write headroomValue together with the ping. It returns errPingRefused if no
// ping may be sent.
func (m memory) headroomTest() (bool, error) {
	switch {
	case strings.HasPrefix(m.policy, "allkeys-"):
		return false, nil // Redis makes room for any write
	case !strings.HasPrefix(m.policy, "volatile-"):
		return true, nil // noeviction, or unknown
	case m.volatile >= enoughVolatile:
		return false, nil
	case m.limit > 0 && m.used > m.limit-headroom:
		return false, fmt.Errorf("%w: %w", errPingRefused, probes.Fail(probes.ReasonOutOfResources, errNoHeadroom))
	}
	return true, nil // there is room, and the value evicts nothing
}

var errNoHeadroom = errors.New("Redis has less than 64 KB left below maxmemory, and too few keys that its " +
	"policy may evict; no ping was sent, because a worker that can't write its answer exits")

// infoValue returns the value of a line "name:value" of INFO, "" if there is none.
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
