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
// The probe takes a connection from the pool only if the pool has an idle one, and releases it immediately
// after the query. Otherwise it uses its own connection, which costs the server one more connection. The
// probe makes its own connection from the pool's configuration, with the pool's BeforeConnect, AfterConnect,
// BeforeClose and dialer. It keeps that connection as long as the pool has no idle connection. In
// pg_stat_activity the connection's name is "echohealth", unless the configuration sets an application_name.
//
// If the pool has a PrepareConn, BeforeAcquire or AfterRelease hook, the probe always uses its own connection
// and never calls these hooks. Such a hook may need a value in its context, such as a tenant, that a check's
// context does not have. The hook would then refuse the connection or panic, and the pool would lose the
// connection. So a check does not notice a failing hook.
//
// If the pool has a hook of new connections, such as BeforeConnect, AfterConnect or a ConnectTracer, the
// probe first makes a connection of its own. It uses the pool after that, or if the connection was refused.
// The pool may have to make a connection for a check, and calls such a hook with the check's context in
// another goroutine. A panic there, for example because of a missing tenant, would end the process. In the
// probe's own goroutine it is an error with the reason panic, and the next dial is 10 s later. BaseContext
// gives the hooks the values they need.
//
// The timeout of a check does not end its query. If it did, pgx would close the connection, and a slow
// database would cost the application one connection for each check. Instead the query runs in a goroutine of
// the probe for up to 10 s, or for the check's timeout if that is longer. The next checks wait for the same
// answer. After an unanswered query the probe does not use the pool until the database has answered on the
// probe's own connection. So a hanging database costs the pool at most one connection.
//
// A closed connection is not reported as an outage, because a restart of the database closes all connections.
// The probe then tries a second connection of the pool, and after that its own connection.
//
// After a failed dial the probe waits until 10 s after the start of that dial before it dials again. This
// spares a server that refuses the probe because of its connection limit or a wrong password. A dial that
// gets no answer lasts the full 10 s, and connect_timeout does not change this. So a dial is always in
// progress, and the probe notices immediately when a frozen database answers again. All addresses that pgx
// tries in order share the 10 s, so that an address without an answer leaves time for the next.
//
// The next check repeats a failed dial without this pause if the dial did not reach the database, because
// such a dial costs the server nothing. The causes are a refused connection, no route, an unknown host, a
// lost connection and a database that is starting. The next check also repeats a dial to a standby that
// target_session_attrs does not allow, because the standby may be promoted soon.
//
// # New connections
//
// A kept connection still works after a password change, after a certificate has expired, or when the server
// has reached its connection limit, but the application's next dial fails. So once a minute (10 % more or
// less) the probe makes a new connection as the pool does, with BeforeConnect and AfterConnect, and closes
// it. This test runs in a separate goroutine, outside the pool, for up to 10 s. At most one test runs at a
// time, and none runs while the check is an error. NewConnectionEvery changes the interval or turns the tests
// off.
//
// # Results
//
//   - ok: the database answered.
//   - warning, pool_saturated: every connection of the pool is in use. The database answered on the probe's
//     own connection, or refused that connection because of its connection limit.
//   - warning with the reason of the failure: the database answered, but no new connection can be made.
//   - error, pool_stuck: every connection of the pool is in use. For 30 s calls of the application have given
//     up waiting for a connection, and no call has got one.
//   - error, read_only: with RequireWritable, the database is a standby or its transactions are read-only by
//     default. Without RequireWritable, the connection string's target_session_attrs requires a server that
//     takes writes, and the probe found none.
//   - error, client_closed: the pool is closed. The pool's Stat does not distinguish a closed pool from an
//     open pool without connections. So when the pool has lost its last connection and the database has
//     answered, the probe acquires one connection. An open pool then begins to make a new connection.
//   - error, timeout: the database answered on the probe's own connection. But for 2 s the pool has had no
//     connection, because its dials get no answer, and calls of the application have given up in that time.
//   - error with the reason of the failure: timeout, connection_refused, authentication_failed and others.
//
// The details are pool_in_use, pool_idle and pool_max, from the pool's Stat without the probe's own use, and
// "read_only":true if the database takes no writes.
package pgxprobe
