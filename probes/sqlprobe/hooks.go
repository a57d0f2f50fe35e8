package sqlprobe

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

const (
	// repeatFor is how long the probe repeats its last result instead of using the pool, if the driver refuses
	// checks. Each use would cost the pool connections.
	repeatFor = answerValidFor

	// panicPause is how long the probe does not call the driver after a panic on the probe's own connection. A
	// connection that panics while it is made stays open until the garbage collector finds it.
	panicPause = time.Minute

	// firstPoolPause is how long the probe does not use the pool after the first panic in the pool. Each
	// further panic makes the pause 10 times longer, because the pool never replaces a connection that is lost
	// by a panic.
	firstPoolPause = time.Hour

	longestPoolPause = 1000 * time.Hour
)

// hooks records whether the driver refuses the connections of checks. Two methods of a driver can make
// database/sql close a pooled connection: IsValid, which is called when the connection is released, and
// ResetSession, which is called with the context of the next caller that acquires the connection.
type hooks struct {
	known   bool          // call has called the methods
	refusal error         // nil if the methods accept a check
	pause   time.Duration // after the last panic in the pool; 0 if there was none
	result  probes.Result // the result that checks repeat
	next    time.Time     // when checks stop repeating the result
}

// safely calls f and returns a panic of the driver as an error with ReasonPanic.
func safely(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = probes.Fail(probes.ReasonPanic, fmt.Errorf("the driver panicked in a check, and the connection is "+
				"lost (sqlprobe.BaseContext gives the driver the values that it needs): %v\n%s", v, debug.Stack()))
		}
	}()
	return f()
}

func panicked(err error) bool { return probes.FromError(err).Reason == probes.ReasonPanic }

// nextPoolPause returns how long the probe must not use the pool after another panic in the pool.
func (h *hooks) nextPoolPause() time.Duration {
	h.pause = min(max(firstPoolPause, 10*h.pause), longestPoolPause)
	return h.pause
}

// repeat makes the checks of the time d return result without calling the driver.
func (h *hooks) repeat(result probes.Result, d time.Duration) {
	h.result, h.next = result, time.Now().Add(d)
}

func (h *hooks) repeated(now time.Time) (probes.Result, bool) {
	return h.result, now.Before(h.next)
}

// call calls IsValid and ResetSession on a connection that has just answered, in the order of database/sql.
// So it finds out whether database/sql would close the connection.
func (h *hooks) call(ctx context.Context, conn *sql.Conn) {
	var refusal error
	err := conn.Raw(func(c any) (err error) {
		defer func() {
			if v := recover(); v != nil {
				refusal = fmt.Errorf("the driver's IsValid or ResetSession panics for a check: %v\n%s", v, debug.Stack())
			}
		}()
		if v, ok := c.(driver.Validator); ok && !v.IsValid() {
			refusal = errors.New("the driver's IsValid refuses a connection after a check")
		} else if r, ok := c.(driver.SessionResetter); ok && errors.Is(r.ResetSession(ctx), driver.ErrBadConn) {
			refusal = errors.New("the driver's ResetSession refuses a connection for a check")
		}
		return nil
	})
	if err == nil && ctx.Err() == nil { // otherwise a canceled context may have caused the refusal
		h.known, h.refusal = true, refusal
	}
}

// refused returns the result of a check whose connection the driver refuses. It is only a warning, because
// the database has answered.
func refused(refusal error) probes.Result {
	return probes.Result{Status: probes.Warning, Reason: probes.ReasonMisconfigured, Err: fmt.Errorf(
		"the database answers, but %w, and database/sql closes those that are refused (sqlprobe.BaseContext gives "+
			"it the values that it needs, sqlprobe.Connector a connection beside the pool)", refusal)}
}
