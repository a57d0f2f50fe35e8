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
	// spare is how long a result is repeated if each question costs the pool some of its connections.
	spare = trustFor

	// spareAfterPanic is the same for a pool that panics: it has lost the connection for good.
	spareAfterPanic = time.Hour
)

// hooks is what is known of the two methods that make database/sql close a pooled connection: IsValid, when
// it is given back, and ResetSession, with the context of whoever gets it next. It belongs to the run in
// flight.
type hooks struct {
	known   bool          // they were called on a connection in hand
	refusal error         // what they said; nil where they take a check
	result  probes.Result // to repeat
	next    time.Time     // until then
}

// repeat has the result repeated for a while.
func (h *hooks) repeat(result probes.Result, d time.Duration) {
	h.result, h.next = result, time.Now().Add(d)
}

func (h *hooks) repeated(now time.Time) (probes.Result, bool) {
	return h.result, now.Before(h.next)
}

// call calls them on a connection that has just answered, in the order of database/sql, to know whether it
// would close this one.
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
	if err == nil && ctx.Err() == nil { // else it says nothing
		h.known, h.refusal = true, refusal
	}
}

// refused is the result of a check whose connection the driver refuses. It says nothing about the database.
func refused(refusal error) probes.Result {
	return probes.Result{Status: probes.Warning, Reason: probes.ReasonMisconfigured, Err: fmt.Errorf(
		"the database answers, but %w, and database/sql closes those that are refused (sqlprobe.BaseContext gives "+
			"it the values that it needs, sqlprobe.Connector a connection beside the pool)", refusal)}
}
