// Package sqlprobe checks a database through the application's *sql.DB, whatever its driver.
//
//	echohealth.WithDatabase(sqlprobe.New(db))
//
// A check is one SELECT 1, or another statement that Query names, on a connection of the application's pool. What it
// proves is that the application can get a connection and that the database answers on it. It is no more expensive
// than that statement, plus a connection where the pool has none idle. For pgx's own pool there is pgxprobe, which
// tells more and never waits for the application.
//
// A query that the database leaves unanswered is not given up at the check's timeout, since drivers close a connection
// whose context ends: a slow database would cost the application one connection a check. It goes on for up to 10 s
// (longer if the check's own timeout is), in a goroutine of the probe's, and the next checks wait for the same answer.
// So the probe holds one connection at most, or one place in the queue for one.
//
// A connection that turns out to be closed, as all are after a restart of the database, is no outage: the next one is
// tried, up to one more than the pool had idle.
//
// # Results
//
//   - ok: the database answered.
//   - warning, pool_saturated: every connection that SetMaxOpenConns allows is in use, none came free within 250 ms,
//     and the database answered when it was last asked. From 10 s after the first such check on, without an answer in between,
//     that is error, timeout: nobody knows any more how the database is.
//   - error with the reason of the failure: timeout, connection_refused, client_closed and the others. They are
//     known for every driver where the network fails, and for those whose errors have a method SQLState (pgx, lib/pq)
//     where the server refuses; otherwise it is failed.
//
// The details are pool_in_use and pool_idle, and pool_max where there is a limit.
package sqlprobe
