package faults_test

import (
	"bytes"
	"slices"
	"sync"

	"github.com/echo-probes/echohealth"
)

// diary records the log of a Health, and the changes of its check that OnChange reports.
type diary struct {
	mu   sync.Mutex // guards the fields below
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

// note records a change of the check. A change of readiness has no check's name and is ignored.
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
