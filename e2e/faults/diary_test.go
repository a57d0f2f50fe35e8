package faults_test

import (
	"bytes"
	"slices"
	"sync"

	"github.com/echo-probes/echohealth"
)

// diary keeps what a Health logs, and what it tells of its check's changes.
type diary struct {
	mu   sync.Mutex // guards the rest
	log  bytes.Buffer
	told []echohealth.Change
}

func (d *diary) Write(text []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.Write(text)
}

func (d *diary) String() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.String()
}

// note takes a change of the check; those of readiness have no name.
func (d *diary) note(c echohealth.Change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.Check != "" {
		d.told = append(d.told, c)
	}
}

func (d *diary) changes() []echohealth.Change {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.told)
}
