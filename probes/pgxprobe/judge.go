package pgxprobe

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"time"

	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/probes"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// judge returns the result for an answer or an error, and the state of the pool at that time.
//
// A full pool is only a warning while the database answers. A refusal because of the connection limit counts
// as an answer. A refusal of a hook says nothing about the database.
func (p *Probe) judge(stat *pgxpool.Stat, readOnly bool, err error) probes.Result {
	refused, _ := errors.AsType[*refusal](err)
	if refused != nil {
		err = nil
	}
	saturated := full(stat) && (err == nil || tooManyConnections(err))
	stuckFor := p.stuck.update(saturated, p.now(), stat.AcquireCount(), stat.CanceledAcquireCount())
	result := probes.Result{Status: probes.OK, Details: details(stat, readOnly)}
	switch {
	case err != nil && !saturated:
		return p.failed(stat, err)
	case readOnly && p.writable:
		result.Status, result.Reason = probes.Error, probes.ReasonReadOnly
		result.Err = errors.New("the database takes no writes")
	case stuckFor >= stuckAfter:
		result.Status, result.Reason = probes.Error, probes.ReasonPoolStuck
		result.Err = fmt.Errorf(
			"the database answers, but for %s the application has got none of the pool's %d connections",
			stuckFor.Round(time.Second), stat.MaxConns())
	case saturated:
		result.Status, result.Reason = probes.Warning, probes.ReasonPoolSaturated
		result.Err = fmt.Errorf("the database answers, but all %d connections of the pool are in use",
			stat.MaxConns())
	case refused != nil:
		result.Status, result.Reason, result.Err = probes.Warning, refused.reason(), refused
	}
	return result
}

// failed returns the result for a check without an answer.
func (p *Probe) failed(stat *pgxpool.Stat, err error) probes.Result {
	result := probes.Result{Status: probes.Error, Details: details(stat, false), Err: err}
	// target_session_attrs=read-write and =primary.
	if errors.Is(err, pgconn.ErrReadOnlyConnection) || errors.Is(err, pgconn.ErrStandbyConnection) {
		result.Reason = probes.ReasonReadOnly
	}
	return result
}

func details(stat *pgxpool.Stat, readOnly bool) []slog.Attr {
	attrs := make([]slog.Attr, 0, 4)
	attrs = append(attrs,
		slog.Int("pool_in_use", int(stat.AcquiredConns())),
		slog.Int("pool_idle", int(stat.IdleConns())),
		slog.Int("pool_max", int(stat.MaxConns())))
	if readOnly {
		attrs = append(attrs, slog.Bool("read_only", true))
	}
	return attrs
}

// connectionLost reports whether an established connection turned out to be closed: by the network, or by
// the server with an error such as 57P01.
func connectionLost(err error) bool {
	switch reason.Of(err) {
	case probes.ReasonConnectionLost, probes.ReasonDependencyStarting:
		return true
	}
	return errors.Is(err, pgconn.ErrConnClosed)
}

// serverAnswered reports whether the database answered, even with an error.
func serverAnswered(err error) bool {
	_, ok := errors.AsType[*pgconn.PgError](err)
	return err == nil || ok
}

func tooManyConnections(err error) bool {
	return reason.Of(err) == probes.ReasonTooManyConnections
}

// reachedNoServer reports whether a failed dial cost the database nothing.
func reachedNoServer(err error) bool {
	switch reason.Of(err) {
	case probes.ReasonConnectionRefused, probes.ReasonUnreachable, probes.ReasonHostNotFound,
		probes.ReasonConnectionLost, probes.ReasonDependencyStarting:
		return true
	case probes.ReasonTimeout:
		op, ok := errors.AsType[*net.OpError](err)
		return ok && op.Op == "dial"
	}
	return false
}
