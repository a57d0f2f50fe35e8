package faults_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// These tests verify the harness itself: its comparisons must be able to fail.

func TestLasting(t *testing.T) {
	tests := map[string][]string{
		"ok ok ok ok ok ok":               {"ok"},
		"slow ok ok ok ok ok":             {"ok"},
		"ok ok ok slow ok ok":             {"ok"},
		"slow slow ok ok ok ok":           {"slow", "ok"},
		"slow ok slow ok ok ok ok ok":     {"slow", "ok"},
		"slow slow lost slow slow slow":   {"slow"},
		"slow slow lost slow lost slow":   {"slow", "lost"},
		"lost lost slow slow failed lost": {"lost", "slow"},
	}
	for said, want := range tests {
		assert.Equal(t, want, lasting(strings.Fields(said)), said)
	}
}

func TestWithoutHiccups(t *testing.T) {
	const ok = " ok ok ok ok "
	for said, want := range map[string]string{
		"timeout" + ok + "timeout" + ok:                              ok + ok,
		"timeout" + ok + "timeout" + ok + "timeout" + ok:             ok + ok + ok,
		"timeout" + ok + "timeout" + ok + "timeout" + ok + "timeout": "",
		"timeout timeout timeout" + ok:                               "",
		"timeout" + ok + "lost" + ok:                                 ok + "lost" + ok,
	} {
		if want == "" {
			want = said
		}
		assert.Equal(t, strings.Fields(want), withoutHiccups(strings.Fields(said)), said)
	}
}

func TestUnknownStrings(t *testing.T) {
	assert.Empty(t, strangers([]byte(`{"status":"ready","timestamp":"2026-11-25T09:00:00Z","checks":{"db":{"status":"error","reason":"pool_stuck","n":1}}}`)))
	for _, document := range []string{
		`{"reason":"dial tcp 10.0.0.7:5432"}`, `{"reason":"127.0.0.1"}`, `{"host.faults.test":{"status":"ok"}}`, `{"list":["ok",{"at":"Secret"}]}`, `nothing`,
	} {
		assert.Len(t, strangers([]byte(document)), 1, document)
	}
}

func TestCensus(t *testing.T) {
	stop := make(chan struct{})
	label := t.Name()
	labelled(label, func() {
		for range 3 {
			go func() {
				started := make(chan struct{})
				go func() { close(started); <-stop }() // a child inherits the label
				<-started
				<-stop
			}()
		}
	})
	go func() { <-stop }() // without a label
	assert.Eventually(t, func() bool { return goroutines.next(label) == 6 }, settling, time.Millisecond)
	close(stop)
	assert.Eventually(t, func() bool { return goroutines.next(label) == 0 }, settling, time.Millisecond)
}
