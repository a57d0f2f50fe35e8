package sqlprobe

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"github.com/echo-probes/echohealth/internal/classify"
	"github.com/echo-probes/echohealth/probes"
)

// observe is one run. A connection that the database has closed since its last use is no outage: after as many of
// them as the pool has idle, the next one is new.
func (p *Probe) observe(ctx context.Context) probes.Result {
	stats := p.db.Stats()
	p.run.begin(stats.WaitCount)
	var err error
	for range max(1, stats.Idle) + 1 {
		if err = p.query(ctx); err == nil || ctx.Err() != nil || !stale(err) {
			break
		}
	}
	if err == nil {
		p.run.end(true)
		return probes.Result{Status: probes.OK, Details: details(p.db.Stats())}
	}
	result, saturated := p.unanswered(err)
	if !saturated {
		p.run.end(false)
	}
	return result
}

// query runs the statement in two steps, to know whether it's for a connection or for an answer that it waits.
func (p *Probe) query(ctx context.Context) error {
	p.run.hold(false)
	conn, err := p.db.Conn(ctx)
	if err != nil {
		return err
	}
	p.run.hold(true)
	err = drain(ctx, conn, p.statement)
	conn.Close() // not deferred: after a panic in the driver it would wait for ever
	return err
}

func drain(ctx context.Context, conn *sql.Conn, statement string) error {
	rows, err := conn.QueryContext(ctx, statement)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
	}
	return rows.Err()
}

// stale reports whether a pooled connection turned out to be closed: by the network, or by the server with a last
// word such as PostgreSQL's 57P01.
func stale(err error) bool {
	switch classify.Reason(err) {
	case probes.ReasonConnectionLost, probes.ReasonDependencyStarting:
		return true
	}
	return errors.Is(err, driver.ErrBadConn)
}
