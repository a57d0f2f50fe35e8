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
// # New connections
//
// A connection that is kept works on after a password was rotated, a certificate has expired or the server
// has no room left, and the application fails at its next one. So the probe makes a new connection once a
// minute (10 % more or less) and closes it: in a goroutine of its own, beside the pool, for up to 10 s, one
// at a time, and not while the check is an error. For that it needs a driver.Connector, which a *sql.DB does
// not show. Without the option Connector no new connection is tried, and a check is ok for as long as the
// pool has a connection that works.
//
//	connector := stdlib.GetConnector(*config)
//	db := sql.OpenDB(connector)
//	probe := sqlprobe.New(db, sqlprobe.Connector(connector))
//
// # Drivers that refuse a check
//
// A driver may have database/sql close a pooled connection: its ResetSession, called with the context of
// whoever gets the connection next, by driver.ErrBadConn, and its IsValid when the connection is given back.
// One that wants a tenant from its context refuses a check. BaseContext gives it the values that it needs.
// Where it refuses all the same and there is a Connector, the probe asks on a connection of its own, and the
// pool loses none; it finds out by calling the two methods on that connection before the pool is asked for
// the first time. Without a Connector it finds out by the first check, which may cost the pool two
// connections, and asks once in 10 s from then on. All this is about hooks of the driver: an error of a
// connector's own hooks, such as those of a pgxpool.Pool behind stdlib.OpenDBFromPool, looks like one of the
// database. pgxprobe is for such a pool.
//
// # Results
//
//   - ok: the database answered.
//   - warning, pool_saturated: every connection that SetMaxOpenConns allows is in use, none came free within 250 ms,
//     and the database answered when it was last asked. From 10 s after the first such check on, without an answer in between,
//     that is error, timeout: nobody knows any more how the database is.
//   - warning, misconfigured: the database answered, but the driver refuses a connection to a check.
//   - warning with the reason of the failure: the database answered, but no new connection can be made.
//   - error with the reason of the failure: timeout, connection_refused, client_closed and the others. They are
//     known for every driver where the network fails, and for those whose errors have a method SQLState (pgx, lib/pq)
//     where the server refuses; otherwise it is failed.
//
// The details are pool_in_use and pool_idle, and pool_max where there is a limit.
package sqlprobe
