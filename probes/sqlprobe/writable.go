package sqlprobe

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/echo-probes/echohealth/probes"
)

// RequireWritable makes a database that takes no writes, such as a standby, an Error with ReasonReadOnly and
// the detail "read_only":true. By default the probe does not check for this.
//
// Each check then runs one more statement, on the same connection. The statement changes nothing. It depends
// on the driver:
//
//   - PostgreSQL (pgx's stdlib, lib/pq, bun's pgdriver): SHOW transaction_read_only.
//   - MySQL and MariaDB (go-sql-driver/mysql, go-mysql-org/go-mysql): SHOW VARIABLES. A database is read-only
//     if read_only, super_read_only, innodb_read_only, or the session's transaction_read_only or tx_read_only
//     is on, even for a user who may still write. The statement takes MariaDB about 0.5 ms.
//   - SQLite (modernc.org/sqlite): PRAGMA query_only. The probe also asks the driver whether SQLite opened
//     the file read-only.
//
// With any other driver, such as one that wraps these, RequireWritable is an error at construction of the
// health checks, and ReadOnlyQuery must be used instead.
func RequireWritable() Option {
	return func(p *Probe) { p.writable = true }
}

// ReadOnlyQuery is like RequireWritable, but works with any driver. The statement must return whether the
// database is read-only, in the last column of each row. The values off, 0, false and no, in upper or lower
// case, mean that the database takes writes. Any other value means that it is read-only. A statement that
// fails or returns no row makes the check an error. An empty statement is an error at construction of the
// health checks. The last use wins.
func ReadOnlyQuery(statement string) Option {
	return func(p *Probe) { p.writable, p.question, p.questionSet = true, statement, true }
}

const (
	askPostgreSQL = "SHOW transaction_read_only"
	askSQLite     = "PRAGMA query_only"

	// SHOW VARIABLES omits the variables that the server does not have. SELECT @@... would fail for each of
	// them, and no server has all.
	askMySQL = "SHOW VARIABLES WHERE Variable_name IN " +
		"('read_only', 'super_read_only', 'innodb_read_only', 'transaction_read_only', 'tx_read_only')"
)

// questions has a statement for each driver, which is identified by the beginning of its import path.
var questions = []struct{ driver, statement string }{
	{"github.com/jackc/pgx/", askPostgreSQL},
	{"github.com/lib/pq", askPostgreSQL},
	{"github.com/uptrace/bun/driver/pgdriver", askPostgreSQL},
	{"github.com/go-sql-driver/mysql", askMySQL},
	{"github.com/go-mysql-org/go-mysql/driver", askMySQL},
	{"modernc.org/sqlite", askSQLite},
}

// questionFor returns the statement of RequireWritable for the driver of db, or "" for an unknown driver.
func questionFor(db *sql.DB) string {
	driver := reflect.TypeOf(db.Driver())
	if driver != nil && driver.Kind() == reflect.Pointer {
		driver = driver.Elem()
	}
	for _, q := range questions {
		if driver != nil && strings.HasPrefix(driver.PkgPath(), q.driver) {
			return q.statement
		}
	}
	return ""
}

// setQuestion sets the statement of RequireWritable, unless ReadOnlyQuery has set one.
func (p *Probe) setQuestion() {
	if p.writable && !p.questionSet && p.db != nil {
		p.question = questionFor(p.db)
	}
}

// validateQuestion returns an error if the statement of ReadOnlyQuery is empty, or if RequireWritable has no
// statement for the driver.
func (p *Probe) validateQuestion() error {
	switch {
	case p.questionSet && strings.TrimSpace(p.question) == "":
		return fmt.Errorf("sqlprobe.ReadOnlyQuery(%q): the statement must not be empty", p.question)
	case p.writable && p.question == "" && p.db != nil:
		return fmt.Errorf("sqlprobe.RequireWritable(): it has no question for the driver %T: "+
			"sqlprobe.ReadOnlyQuery must give one", p.db.Driver())
	}
	return nil
}

// ask runs the statement of the checks, and with RequireWritable asks whether the database is read-only.
func (p *Probe) ask(ctx context.Context, conn *sql.Conn) error {
	p.readOnly = false
	err := execute(ctx, conn, p.statement)
	if err != nil || !p.writable {
		return err
	}
	p.readOnly, err = anyOn(ctx, conn, p.question)
	if preparedElsewhere(err) {
		p.readOnly, err = anyOn(ctx, conn, p.question)
	}
	if err == nil && p.question == askSQLite && !p.questionSet {
		err = p.askSQLiteFile(conn)
	}
	return err
}

// anyOn reports whether the last column of any row has a value other than off, 0, false and no.
func anyOn(ctx context.Context, conn *sql.Conn, statement string) (bool, error) {
	rows, err := conn.QueryContext(ctx, statement)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		return false, err
	}
	values, row := make([]any, len(columns)), make([]any, len(columns))
	for i := range values {
		row[i] = &values[i]
	}
	rowsRead, on := 0, false
	for ; len(columns) > 0 && rows.Next(); rowsRead++ {
		if err := rows.Scan(row...); err != nil {
			return false, err
		}
		on = on || !off(values[len(values)-1])
	}
	if err := rows.Err(); err != nil || rowsRead > 0 {
		return on, err
	}
	return false, probes.Fail(probes.ReasonMisconfigured, fmt.Errorf("%q returns no value", statement))
}

func off(value any) bool {
	if text, ok := value.([]byte); ok {
		value = string(text)
	}
	switch strings.ToLower(fmt.Sprint(value)) {
	case "off", "0", "false", "no":
		return true
	}
	return false
}

// askSQLiteFile asks the driver whether SQLite opened the file read-only, because of the connection string or
// because of the file's permissions. No statement shows this.
func (p *Probe) askSQLiteFile(conn *sql.Conn) error {
	return conn.Raw(func(c any) error {
		asked, ok := c.(interface {
			IsReadOnly(schema string) (bool, error)
		})
		if !ok {
			return probes.Fail(probes.ReasonMisconfigured,
				fmt.Errorf("%T has no method IsReadOnly: the driver is too old", c))
		}
		readOnly, err := asked.IsReadOnly("main")
		p.readOnly = p.readOnly || readOnly
		return err
	})
}

// takesNoWrites returns the result for a read-only database.
func takesNoWrites() probes.Result {
	return probes.Result{Status: probes.Error, Reason: probes.ReasonReadOnly,
		Err: errors.New("the database takes no writes")}
}
