// Package pgxprobe checks a PostgreSQL database through the application's pgx pool.
//
//	echohealth.WithDatabase(pgxprobe.New(pool))
//
// A check is one SELECT 1 in the simple protocol: one round trip, some 0.05 ms and 30 allocations on the loopback
// interface, two round trips where pgxpool pings a connection first that was idle for more than a second. Nothing is
// prepared, so that PgBouncer is no obstacle. What it proves is that the database answers and whether the
// application's pool has a connection to spare. It reads no table: a lost permission or a full disk is not seen.
//
// # Which connection
//
// The probe must not make worse what it looks at. It takes a connection of the pool only when the pool shows an idle
// one, and gives it back at once. Otherwise it has one of its own, which costs the server one more: made from the
// pool's configuration, with its BeforeConnect, AfterConnect, BeforeClose and dialer, and kept while the pool has no
// idle one. In pg_stat_activity it is named "echohealth", unless the configuration sets an application_name.
//
// A pool with one of the hooks PrepareConn, BeforeAcquire and AfterRelease is not asked at all: it closes
// each connection that its hook refuses, and a hook that wants a tenant from its context refuses a check. The
// probe then asks on its own connection, and calls the hooks on this one, as the pool does, after the
// database has answered. BaseContext gives them the values that they need.
//
// A query that the database leaves unanswered is not given up at the check's timeout, since pgx closes a connection
// whose context ends: a slow database would cost the application one connection a check. It goes on for up to 10 s
// (longer if the check's own timeout is), in a goroutine of the probe's, and the next checks wait for the same answer.
// After that the probe keeps away from the pool until the database has answered on the probe's own connection. So a
// hanging database costs the pool one place at most.
//
// A connection that turns out to be closed, as all are after a restart of the database, is no outage: a second one is
// tried, then the probe's own.
//
// Dials that fail begin at least 10 s apart. That spares a server that refuses them for want of connections or for a
// wrong password. A dial that hangs does so for the 10 s, whatever connect_timeout says, so that one is always under
// way and a frozen database is seen to be back at once. A dial that met no database at all (refused, no route, no such
// name, cut off, or the database is starting) costs it nothing and is repeated with the next check.
//
// # New connections
//
// A connection that is kept works on after a password was rotated, a certificate has expired or the server
// has no room left, and the application fails at its next dial. So the probe makes a new connection once a
// minute (10 % more or less), the way the pool does, with its BeforeConnect and AfterConnect, and closes it.
// That happens in a goroutine of its own, beside the pool, for up to 10 s, one at a time, and not while the
// check is an error. NewConnectionEvery changes the interval, or turns it off.
//
// # Results
//
//   - ok: the database answered.
//   - warning, pool_saturated: every connection of the pool is in use, and the database answered on the probe's own
//     connection, or refused that one because its limit of connections is reached.
//   - warning, misconfigured: the database answered, but the pool's PrepareConn or BeforeAcquire refuses a
//     connection for a check. Where the hook's own error has a word, such as timeout, it is that one; where
//     the hook failed by an answer of the database's, such as permission_denied, it is an error.
//   - warning with the reason of the failure: the database answered, but no new connection can be made.
//   - error, pool_stuck: the same, and for 30 s the application has asked the pool in vain: calls gave up, none got a
//     connection.
//   - error, read_only: with RequireWritable, on a standby or where transactions are read-only by default; without
//     it, if the connection string's target_session_attrs wants a server that takes writes.
//   - error, client_closed: the pool is closed. A pool that has lost all its connections looks the same from outside,
//     so the probe acquires one to find out, once, after the database has answered; to an open pool that gives back
//     one of the connections it had.
//   - error with the reason of the failure: timeout, connection_refused, authentication_failed and the others.
//
// The details are pool_in_use, pool_idle and pool_max, as the pool's Stat shows them without the probe's own use, and
// "read_only":true when the database takes no writes.
package pgxprobe
