package pgxprobe

import (
	"context"
	"time"
)

// DialPause is for tests that count dials.
const DialPause = dialPause

// ErrNoneIdle is the error of Acquire if the application has taken the idle connection first.
var ErrNoneIdle = errNoneIdle

// SetRunLimit sets how long a run may last if the check's timeout is not longer.
func (p *Probe) SetRunLimit(d time.Duration) { p.runLimit = d }

// Acquire takes a connection of the pool and gives it back.
func (p *Probe) Acquire(ctx context.Context) error {
	conn, err := p.acquire(ctx)
	if err == nil {
		p.release(ctx, conn)
	}
	return err
}

// Shift moves the probe's clock forward by d. No check may be in progress.
func (p *Probe) Shift(d time.Duration) {
	now := p.now
	p.now = func() time.Time { return now().Add(d) }
}

// ConnectAnew makes a new connection and closes it.
func (p *Probe) ConnectAnew(ctx context.Context) error { return p.connectAnew(ctx) }
