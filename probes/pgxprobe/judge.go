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
// A full pool is a warning if the database answers or refuses the probe because of its connection limit. A
// full pool becomes an error after stuckAfter. A pool whose dials get no answer is an error even if the
// database answers the probe, because the pool may dial another address than the probe.
func (p *Probe) judge(stat *pgxpool.Stat, readOnly bool, err error) probes.Result {
	saturated := full(stat) && (err == nil || tooManyConnections(err))
	stuckFor := p.stuck.update(saturated, p.now(), stat.AcquireCount(), stat.CanceledAcquireCount())
	dialingFor := p.watchDials(stat)
	result := probes.Result{Status: probes.OK, Details: details(stat, readOnly)}
	switch {
	case err != nil && !saturated:
		return p.failed(stat, err)
	case readOnly && p.writable:
		result.Status, result.Reason = probes.Error, probes.ReasonReadOnly
		result.Err = errors.New("the database takes no writes")
	case dialingFor >= dialingAfter:
		result.Status, result.Reason = probes.Error, probes.ReasonTimeout
		result.Err = fmt.Errorf("the database answers the probe, but for %s the pool has had no connection: "+
			"its %d dials get no answer", dialingFor.Round(time.Second), stat.ConstructingConns())
	case stuckFor >= stuckAfter:
		result.Status, result.Reason = probes.Error, probes.ReasonPoolStuck
		result.Err = fmt.Errorf(
			"the database answers, but for %s the application has got none of the pool's %d connections",
			stuckFor.Round(time.Second), stat.MaxConns())
	case saturated:
		result.Status, result.Reason = probes.Warning, probes.ReasonPoolSaturated
		result.Err = fmt.Errorf("the database answers, but all %d connections of the pool are in use or are "+
			"being made", stat.MaxConns())
	}
	return result
}

// failed returns the result for a check without an answer.
func (p *Probe) failed(stat *pgxpool.Stat, err error) probes.Result {
	return probes.Result{Status: probes.Error, Details: details(stat, false), Err: err}
}

// watchDials returns for how long the pool has had only dials in progress, and no connection. It returns 0 if
// no call of the application has given up in that time.
func (p *Probe) watchDials(stat *pgxpool.Stat) time.Duration {
	dials := stat.ConstructingConns() > 0 && stat.ConstructingConns() == stat.TotalConns()
	p.dialing.update(dials, p.now(), stat.AcquireCount(), stat.CanceledAcquireCount())
	return p.dialing.lasted(p.now())
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

// connectionLost reports whether err means that an established connection was closed by the network, or by
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

// repeatable reports whether the probe may dial again without dialPause after a dial failed with err. It may
// if that dial cost the database nothing, or ended at a standby that may be promoted soon.
func repeatable(err error) bool {
	switch reason.Of(err) {
	case probes.ReasonConnectionRefused, probes.ReasonUnreachable, probes.ReasonHostNotFound,
		probes.ReasonDependencyStarting, probes.ReasonReadOnly:
		return true
	case probes.ReasonConnectionLost:
		return !serverAnswered(err)
	case probes.ReasonTimeout:
		op, ok := errors.AsType[*net.OpError](err)
		return ok && op.Op == "dial"
	}
	return false
}
