// Package sqlprobe checks a database through the application's *sql.DB, with any driver.
//
//	echohealth.WithDatabase(sqlprobe.New(db))
//
// A check is one SELECT 1, or the statement of Query, on a connection of the application's pool. It proves
// that the application can get a connection and that the database answers on it. It costs that statement,
// plus a new connection if the pool has none idle. For the pool of pgx use pgxprobe, which reports more and
// never waits for the application.
//
// The timeout of a check does not end its query, because drivers close a connection whose context ends: a
// slow database would cost the application one connection for each check. The query runs for up to 10 s, or
// longer if the check's own timeout is longer, in a goroutine of the probe. The next checks wait for the
// same answer. So the probe holds at most one connection, or one place in the queue for a connection.
//
// A driver may prepare the statement. Behind a pooler such as PgBouncer the next connection may not know the
// prepared statement, or know it from another client. The probe then sends the statement once more with
// ExecContext, which pgx and lib/pq send unprepared.
//
// A connection that turns out to be closed is not an outage: a restart of the database closes all
// connections. The probe then tries the next connection, up to one more than the pool had idle.
//
// # New connections
//
// A kept connection still works after a password change, after a certificate has expired, or when the server
// has reached its connection limit, but the application's next connection fails. So the probe makes a new
// connection once a minute (10 % more or less) and closes it. It does this in a separate goroutine, outside
// the pool, for up to 10 s, one at a time, and not while the check is an error. It needs a driver.Connector,
// which a *sql.DB does not expose. Without the option Connector the probe tries no new connection, and a
// check is ok as long as the pool has a connection that works.
//
//	connector := stdlib.GetConnector(*config)
//	db := sql.OpenDB(connector)
//	probe := sqlprobe.New(db, sqlprobe.Connector(connector))
//
// # Drivers that refuse a check
//
// A driver can make database/sql close a pooled connection. Its ResetSession does so by returning
// driver.ErrBadConn; it gets the context of the next caller that acquires the connection. Its IsValid does
// so when the connection is released. A driver that needs a tenant in the context refuses a check.
// BaseContext gives it the values that it needs.
//
// If the driver still refuses and there is a Connector, the probe uses a connection of its own, and the pool
// loses none. The probe finds out by calling both methods on that connection before it first uses the pool.
// Without a Connector it finds out by the first check, which may cost the pool two connections, and then
// uses the pool only once in 10 s. This applies to hooks of the driver only. An error of a connector's own
// hooks, such as those of a pgxpool.Pool behind stdlib.OpenDBFromPool, looks like an error of the database.
// Use pgxprobe for such a pool.
//
// # Results
//
//   - ok: the database answered.
//   - warning, pool_saturated: every connection that SetMaxOpenConns allows is in use, none became free
//     within 250 ms, and the database answered the last time that the probe could ask. After 10 s of such
//     checks without an answer, the check is an error with the reason timeout, because the state of the
//     database is unknown.
//   - warning, misconfigured: the database answered, but the driver refuses a connection to a check.
//   - warning with the reason of the failure: the database answered, but no new connection can be made.
//   - error, read_only: with RequireWritable or ReadOnlyQuery, the database takes no writes. Without them,
//     the target_session_attrs of pgx's connection string requires a server that takes writes.
//   - error with the reason of the failure: timeout, connection_refused, client_closed and others. The probe
//     knows the reason of a network failure with every driver. It knows the reason of a refusal by the
//     server if the driver's errors have a method SQLState (pgx, lib/pq), and from drivers of MySQL, MariaDB
//     (go-sql-driver/mysql, go-mysql-org/go-mysql) and SQLite (modernc.org/sqlite, mattn/go-sqlite3).
//     Otherwise the reason is failed.
//
// The details are pool_in_use and pool_idle, pool_max if there is a limit, and "read_only":true when the
// probe has asked and the database takes no writes.
//
// # MySQL and SQLite
//
// A DSN of go-sql-driver/mysql should set timeout. Otherwise a dial that gets no answer lasts until the
// context of the caller ends. The probe can't see the DSN.
//
// SELECT 1 does not touch the file of SQLite. SELECT count(*) FROM sqlite_schema, given by Query, reads it.
package sqlprobe
