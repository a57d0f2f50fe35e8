// Package sqlprobe checks a database through the application's *sql.DB, with any driver.
//
//	echohealth.WithDatabase(sqlprobe.New(db))
//
// A check is one SELECT 1, or the statement of Query, on a connection of the application's pool. It proves
// that the application can get a connection and that the database answers on it. It costs that statement,
// plus a new connection if the pool has no idle one. For a pgx pool use pgxprobe, which reports more and
// never waits for the application to release a connection.
//
// The timeout of a check does not end its query. If it did, the driver would close the connection, and a slow
// database would cost the application one connection for each check. Instead the query runs in a goroutine of
// the probe for up to 10 s, or for the check's timeout if that is longer. The next checks wait for the same
// answer. So the probe holds at most one connection, or one place in the queue for a connection.
//
// A driver may prepare the statement. Behind a pooler such as PgBouncer the next connection may not know the
// prepared statement, or may already have one of the same name from another client. The probe then sends the
// statement once more with ExecContext, which pgx and lib/pq send unprepared.
//
// A closed connection is not reported as an outage, because a restart of the database closes all connections.
// The probe then tries the next connection. It tries at most one connection more than the pool had idle.
//
// # New connections
//
// A kept connection still works after a password change, after a certificate has expired, or when the server
// has reached its connection limit, but the application's next connection fails. So once a minute (10 % more
// or less) the probe makes a new connection and closes it. This test runs in a separate goroutine, outside
// the pool, for up to 10 s. At most one test runs at a time, and none runs while the check is an error. The
// test needs a driver.Connector, which a *sql.DB does not expose. Without the option Connector the probe
// makes no new connection outside the pool, and a check is ok as long as the pool has a connection that
// works.
//
//	connector := stdlib.GetConnector(*config)
//	db := sql.OpenDB(connector)
//	probe := sqlprobe.New(db, sqlprobe.Connector(connector))
//
// # Drivers that refuse a check
//
// Two methods of a driver can make database/sql close a pooled connection. ResetSession is called with the
// context of the caller that acquires the connection, and may return driver.ErrBadConn. IsValid is called
// when the connection is released, and may return false. A driver that needs a value in the context, such as
// a tenant, refuses a check in this way. BaseContext adds the value to the context.
//
// If the driver still refuses and there is a Connector, the probe uses its own connection, and the pool loses
// none. To find out, the probe calls both methods on its own connection before it first uses the pool.
// Without a Connector the probe finds out by its first check, which may cost the pool two connections. It
// then uses the pool only once in 10 s. This applies only to hooks of the driver. An error of a connector's
// own hooks, such as those of a pgxpool.Pool behind stdlib.OpenDBFromPool, looks like an error of the
// database, and a panic of such a hook ends the process. Use pgxprobe for such a pool.
//
// If the driver panics in a check, the check is an error with the reason panic. database/sql never replaces a
// connection that is lost by a panic, so each further check would cost the pool one more. Without a Connector
// the probe uses the pool again after 1 h, after another panic after 10 h, and so on, and repeats the result
// until then. With a Connector the driver is first called for the probe's own connection, so the pool usually
// loses none. After a panic there the probe connects again after a minute. If the pool has lost a connection,
// the probe uses only its own.
//
// # Results
//
//   - ok: the database answered.
//   - warning, pool_saturated: every connection that SetMaxOpenConns allows is in use, and none became free
//     within 250 ms. The database answered the last query that the probe could send.
//   - warning, misconfigured: the database answered, but the driver refuses a connection to a check.
//   - warning with the reason of the failure: the database answered, but no new connection can be made.
//   - error, timeout: the pool is saturated, and the state of the database is unknown. The last query failed,
//     or no query has been sent yet, or for 10 s no check could send one.
//   - error, read_only: with RequireWritable or ReadOnlyQuery, the database takes no writes. Without them,
//     the target_session_attrs of pgx's connection string requires a server that takes writes, and the probe
//     found none.
//   - error with the reason of the failure: timeout, connection_refused, client_closed and others. The probe
//     knows the reason of a network failure with every driver. It knows the reason of a refusal by the server
//     if the driver's errors have a method SQLState (pgx, lib/pq), and from drivers of MySQL, MariaDB
//     (go-sql-driver/mysql, go-mysql-org/go-mysql) and SQLite (modernc.org/sqlite, mattn/go-sqlite3).
//     Otherwise the reason is failed.
//
// The details are pool_in_use and pool_idle, pool_max if there is a limit, and "read_only":true if
// RequireWritable or ReadOnlyQuery found that the database takes no writes.
//
// # MySQL and SQLite
//
// A DSN of go-sql-driver/mysql should set timeout. Otherwise a dial that gets no answer lasts until the
// context of the caller ends. The probe can't see the DSN, so it does not warn of a missing timeout.
//
// SELECT 1 does not read the database file of SQLite. To read it, set SELECT count(*) FROM sqlite_schema with
// Query.
package sqlprobe
