package pgxprobe

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/probes"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// hooks are the functions that a pool calls before it hands out a connection and after it gets it back. The
// pool closes a connection that a hook refuses, and loses one whose hook panics. So a check must not make
// the pool call them.
type hooks struct {
	name    string // of prepare, in the pool's configuration
	prepare func(context.Context, *pgx.Conn) (bool, error)
	release func(*pgx.Conn) bool
}

func hooksOf(config *pgxpool.Config) hooks {
	if config == nil {
		return hooks{}
	}
	h := hooks{name: "PrepareConn", prepare: config.PrepareConn, release: config.AfterRelease}
	//lint:ignore SA1019 it is deprecated, but the pool still calls it
	before := config.BeforeAcquire
	if h.prepare == nil && before != nil {
		h.name = "BeforeAcquire"
		h.prepare = func(ctx context.Context, conn *pgx.Conn) (bool, error) { return before(ctx, conn), nil }
	}
	return h
}

func (h hooks) none() bool { return h.prepare == nil && h.release == nil }

// try calls the hooks on a connection of the probe, as the pool does when a caller acquires and releases a
// connection. It reports whether the pool would keep the connection. The error is a *refusal unless the
// database made the hook fail.
func (h hooks) try(ctx context.Context, conn *pgx.Conn) (keep bool, err error) {
	if h.prepare == nil {
		return true, nil
	}
	ok, err := h.callPrepare(ctx, conn)
	switch {
	case ctx.Err() != nil:
		return ok, ctx.Err()
	case failedByDatabase(err):
		return ok, fmt.Errorf("the pool's %s: %w", h.name, err)
	case err != nil || !ok:
		return ok, &refusal{hook: h.name, err: err}
	}
	return h.callRelease(conn), nil
}

func (h hooks) callPrepare(ctx context.Context, conn *pgx.Conn) (ok bool, err error) {
	defer func() {
		if v := recover(); v != nil {
			ok, err = false, fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
	}()
	return h.prepare(ctx, conn)
}

// callRelease reports whether the pool would keep the connection.
func (h hooks) callRelease(conn *pgx.Conn) (keep bool) {
	defer func() {
		if recover() != nil {
			keep = false
		}
	}()
	return conn.PgConn().TxStatus() == 'I' && (h.release == nil || h.release(conn))
}

// failedByDatabase reports whether a hook's error is an error of the database that has a reason, such as
// permission_denied.
func failedByDatabase(err error) bool {
	_, ok := errors.AsType[*pgconn.PgError](err)
	return ok && reason.Of(err) != probes.ReasonFailed
}

// refusal is the error of a check whose connection the pool's hook refuses. It says nothing about the
// database.
type refusal struct {
	hook string
	err  error // the hook's; may be nil
}

func isRefusal(err error) bool {
	_, ok := errors.AsType[*refusal](err)
	return ok
}

func (r *refusal) Error() string {
	text := fmt.Sprintf("the database answers, but the pool's %s refuses a connection for a check", r.hook)
	if r.err != nil {
		text += ": " + r.err.Error()
	}
	return text + " (pgxprobe.BaseContext gives the hook the values that it needs)"
}

func (r *refusal) Unwrap() error { return r.err }

// reason is the reason of the hook's error, or misconfigured if it has none.
func (r *refusal) reason() probes.Reason {
	if reason := reason.Of(r.err); reason != "" && reason != probes.ReasonFailed {
		return reason
	}
	return probes.ReasonMisconfigured
}
