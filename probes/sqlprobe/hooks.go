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
	// repeatFor is how long the probe repeats a result if each query costs the pool some of its connections.
	repeatFor = answerValidFor

	// repeatAfterPanic is the same for a pool that panics, because the pool then never replaces the connection.
	repeatAfterPanic = time.Hour
)

// hooks records what two methods have done that make database/sql close a pooled connection: IsValid, which
// it calls when the connection is released, and ResetSession, which it calls with the context of the next
// caller. Only the run in flight uses it.
type hooks struct {
	known   bool          // the methods were called
	refusal error         // nil if they accept a check
	result  probes.Result // to be repeated
	next    time.Time     // end of the repetition
}

// repeat makes the next checks repeat the result for d.
func (h *hooks) repeat(result probes.Result, d time.Duration) {
	h.result, h.next = result, time.Now().Add(d)
}

func (h *hooks) repeated(now time.Time) (probes.Result, bool) {
	return h.result, now.Before(h.next)
}

// call calls the methods on a connection that has just answered, in the order of database/sql, to find out
// whether database/sql would close it.
func (h *hooks) call(ctx context.Context, conn *sql.Conn) {
	var refusal error
	err := conn.Raw(func(c any) (err error) {
		defer func() {
			if v := recover(); v != nil {
				refusal = fmt.Errorf("the driver's ResetSession panics for a check: %v\n%s", v, debug.Stack())
			}
		}()
		if v, ok := c.(driver.Validator); ok && !v.IsValid() {
			refusal = errors.New("the driver's IsValid refuses a connection after a check")
		} else if r, ok := c.(driver.SessionResetter); ok && errors.Is(r.ResetSession(ctx), driver.ErrBadConn) {
			refusal = errors.New("the driver's ResetSession refuses a connection for a check")
		}
		return nil
	})
	if err == nil && ctx.Err() == nil { // else the outcome means nothing
		h.known, h.refusal = true, refusal
	}
}

// refused returns the result of a check whose connection the driver refuses. The refusal shows no fault of
// the database.
func refused(refusal error) probes.Result {
	return probes.Result{Status: probes.Warning, Reason: probes.ReasonMisconfigured, Err: fmt.Errorf(
		"the database answers, but %w, and database/sql closes those that are refused (sqlprobe.BaseContext gives "+
			"it the values that it needs, sqlprobe.Connector a connection beside the pool)", refusal)}
}
