// Package pgxprobe checks a PostgreSQL database through the application's pgx pool.
//
//	echohealth.WithDatabase(pgxprobe.New(pool))
//
// A check is one SELECT 1, or one SHOW transaction_read_only with RequireWritable. It costs one round trip,
// about 0.05 ms and 30 allocations on the loopback interface. It costs two round trips if pgxpool first pings
// a connection that was idle for more than a second. The probe uses the simple protocol, which prepares no
// statement, so it works through PgBouncer. A check proves that the database answers, and whether the
// application's pool has a free connection. It reads no table, so it does not notice a lost permission or a
// full disk.
//
// # Which connection
//
// The probe takes a connection of the pool only when the pool has an idle one, and releases it at once.
// Otherwise it uses a connection of its own, which costs the server one more connection. The probe makes it
// from the pool's configuration, with its BeforeConnect, AfterConnect, BeforeClose and dialer, and keeps it
// while the pool has no idle connection. In pg_stat_activity its name is "echohealth", unless the
// configuration sets an application_name.
//
// The probe takes no connection of a pool that has one of the hooks PrepareConn, BeforeAcquire and
// AfterRelease. It uses its own connection, and calls none of these hooks. Such a pool closes each connection
// that its hook refuses, and loses each one for which the hook panics. A hook that needs a tenant in its
// context does one of the two to a check. So a check does not notice that a hook fails.
//
// The timeout of a check does not end its query, because pgx closes a connection whose context ends: a slow
// database would cost the application one connection for each check. The query runs for up to 10 s, or
// longer if the check's own timeout is longer, in a goroutine of the probe. The next checks wait for the
// same answer. After an unanswered query the probe does not use the pool until the database has answered on
// the probe's own connection. So a hanging database costs the pool at most one connection.
//
// A connection that turns out to be closed is not an outage: a restart of the database closes all
// connections. The probe then tries a second connection of the pool, and then its own.
//
// Failed dials begin at least 10 s apart. This spares a server that refuses them because of its connection
// limit or a wrong password. A dial that gets no answer lasts those 10 s, whatever connect_timeout says. So
// one dial is always in progress, and the probe notices at once when a frozen database answers again. All
// addresses that pgx tries in order share that time, so that a silent one leaves some for the next. A dial
// that reached no database costs the server nothing, and the next check repeats it. Such dials are those
// with connection refused, no route, an unknown host or a lost connection, and those to a database that is
// starting. The next check also repeats a dial to a standby that target_session_attrs does not allow, because
// the standby may be promoted soon.
//
// # New connections
//
// A kept connection still works after a password change, after a certificate has expired, or when the server
// has reached its connection limit, but the application's next dial fails. So the probe makes a new
// connection once a minute (10 % more or less), as the pool does, with its BeforeConnect and AfterConnect,
// and closes it. It does this in a separate goroutine, outside the pool, for up to 10 s, one at a time, and
// not while the check is an error. NewConnectionEvery changes the interval or turns it off.
//
// # Results
//
//   - ok: the database answered.
//   - warning, pool_saturated: every connection of the pool is in use. The database answered on the probe's
//     own connection, or refused that connection because of its connection limit.
//   - warning with the reason of the failure: the database answered, but no new connection can be made.
//   - error, pool_stuck: the pool is saturated, and for 30 s calls of the application have given up waiting
//     for a connection while no call has got one.
//   - error, read_only: with RequireWritable, the database is a standby or its transactions are read-only by
//     default. Without RequireWritable, the target_session_attrs of the connection string requires a server
//     that takes writes.
//   - error, client_closed: the pool is closed. An open pool without connections looks the same from
//     outside, so the probe acquires one connection to find out, once, after the database has answered. That
//     restores one connection of an open pool.
//   - error, timeout: the database answered on the probe's own connection, but for 2 s the pool has had no
//     connection, because its dials get no answer, and calls of the application have given up meanwhile.
//   - error with the reason of the failure: timeout, connection_refused, authentication_failed and others.
//
// The details are pool_in_use, pool_idle and pool_max, from the pool's Stat without the probe's own use, and
// "read_only":true when the database takes no writes.
package pgxprobe
