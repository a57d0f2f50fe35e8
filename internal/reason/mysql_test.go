package reason_test

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"

	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
)

// MySQLError has the name and the text of go-sql-driver/mysql's type.
type MySQLError struct {
	number         uint16
	state, message string
}

func (e *MySQLError) Error() string {
	if e.state == "" {
		return fmt.Sprintf("Error %d: %s", e.number, e.message)
	}
	return fmt.Sprintf("Error %d (%s): %s", e.number, e.state, e.message)
}

func TestMySQL(t *testing.T) {
	tests := []struct {
		number uint16
		state  string
		text   string
		want   probes.Reason
	}{
		{1045, "28000", "Access denied for user 'app'@'10.0.0.7' (using password: YES)", "authentication_failed"},
		{1698, "28000", "Access denied for user 'app'@'10.0.0.7'", "authentication_failed"},
		{1130, "", "Host '10.0.0.7' is not allowed to connect to this MariaDB server", "authentication_failed"},
		{1251, "08004", "Client does not support authentication protocol", "authentication_failed"},
		{1862, "HY000", "Your password has expired.", "authentication_failed"},
		{3118, "HY000", "Access denied for user 'app'@'%'. Account is locked.", "authentication_failed"},
		{4151, "HY000", "Access denied, this account is locked", "authentication_failed"},
		{1044, "42000", "Access denied for user 'app'@'%' to database 'orders'", "permission_denied"},
		{1129, "", "Host '10.0.0.7' is blocked because of many connection errors", "permission_denied"},
		{1142, "42000", "SELECT command denied to user 'app'@'%' for table `o`.`t`", "permission_denied"},
		{1049, "42000", "Unknown database 'orders'", "not_found"},
		{1146, "42S02", "Table 'orders.t' doesn't exist", "not_found"},
		{1109, "42S02", "Unknown table 't' in field list", "not_found"},
		{1040, "", "Too many connections", "too_many_connections"},
		{1040, "08004", "Too many connections", "too_many_connections"},
		{1203, "42000", "User app already has more than 'max_user_connections' active connections",
			"too_many_connections"},
		{1226, "42000", "User 'app' has exceeded the 'max_user_connections' resource", "too_many_connections"},
		{1290, "HY000", "The MariaDB server is running with the --read-only option", "read_only"},
		{1290, "HY000", "The MySQL server is running with the --super-read-only option", "read_only"},
		{1290, "HY000", "The MariaDB server is running with the --skip-grant-tables option", "misconfigured"},
		{1792, "25006", "Cannot execute statement in a READ ONLY transaction", "read_only"},
		{1836, "HY000", "Running in read-only mode", "read_only"},
		{1874, "HY000", "InnoDB is in read only mode.", "read_only"},
		{1021, "HY000", "Disk full (/tmp); waiting for someone to free some space...", "out_of_resources"},
		{1114, "HY000", "The table 't' is full", "out_of_resources"},
		{1026, "HY000", "Error writing file 'ML' (Errcode: 28 \"No space left on device\")", "out_of_resources"},
		{1026, "HY000", "Error writing file '/tmp/ML' (Errcode: 5 \"Input/output error\")", "failed"},
		{1041, "HY000", "Out of memory.", "out_of_resources"},
		{1135, "HY000", "Can't create a new thread", "out_of_resources"},
		{5, "HY001", "Out of memory (Needed 8 bytes)", "out_of_resources"},
		{1053, "08S01", "Server shutdown in progress", "dependency_starting"},
		{3032, "HY000", "The server is currently in offline mode", "dependency_starting"},
		{1047, "08S01", "WSREP has not yet prepared node for application use", "dependency_starting"},
		{3024, "HY000", "Query execution was interrupted, maximum statement execution time exceeded", "timeout"},
		{1969, "70100", "Query execution was interrupted (max_statement_time exceeded)", "timeout"},
		{1317, "70100", "Query execution was interrupted", "timeout"},
		{1931, "70100", "Query execution was interrupted", "timeout"},
		{1205, "HY000", "Lock wait timeout exceeded; try restarting transaction", "timeout"},
		{9001, "HY000", "Max connect timeout reached while reaching hostgroup 1", "timeout"},
		{1927, "70100", "Connection was killed", "connection_lost"},
		{4031, "HY000", "The client was disconnected by the server because of inactivity.", "connection_lost"},
		{2013, "HY000", "Lost connection to MySQL server during query", "connection_lost"},
		{2006, "HY000", "MySQL server has gone away", "connection_lost"},
		{1158, "08S01", "Got an error reading communication packets", "connection_lost"},
		{2003, "HY000", "Can't connect to MySQL server on '10.0.0.7' (111)", "connection_refused"},
		{2005, "HY000", "Unknown MySQL server host 'db' (2)", "host_not_found"},
		{3159, "HY000", "Connections using insecure transport are prohibited", "tls_error"},
		{1193, "HY000", "Unknown system variable 'no_such'", "misconfigured"},
		{1046, "3D000", "No database selected", "misconfigured"},
		{1064, "42000", "You have an error in your SQL syntax", "misconfigured"},
		{1062, "23000", "Duplicate entry '1' for key 'PRIMARY'", "failed"},
		{1105, "HY000", "Unknown error", "failed"},
	}
	for _, test := range tests {
		err := &MySQLError{test.number, test.state, test.text}
		assert.Equal(t, test.want, reason.Of(err), "%v", err)
		wrapped := errors.Join(dialError(syscall.ECONNREFUSED), fmt.Errorf("orders: %w while starting", err))
		if test.want != "failed" {
			assert.Equal(t, test.want, reason.Of(wrapped), "what a server says comes first: %v", wrapped)
		}
		if test.state != "" { // with a SQLSTATE the text is enough, whatever the type
			copied := fmt.Errorf("orders: %v", err)
			assert.Equal(t, test.want, reason.Of(copied), "%v", copied)
		}
	}
}

func TestTextsOfDatabaseDrivers(t *testing.T) {
	tests := map[string]probes.Reason{
		// go-sql-driver/mysql
		"invalid connection": "connection_lost",
		"bad connection":     "connection_lost",
		"busy buffer":        "connection_lost",
		"commands out of sync. You can't run this command now":           "connection_lost",
		"commands out of sync. Did you run multiple statements at once?": "connection_lost",
		"malformed packet": "misconfigured",
		"MySQL server does not support required protocol 41+":               "misconfigured",
		"TLS requested but server does not support TLS":                     "tls_error",
		"this authentication plugin is not supported":                       "authentication_failed",
		"this user requires mysql native password authentication":           "authentication_failed",
		"this user requires clear text authentication. If you still want":   "authentication_failed",
		"this user requires old password authentication. If you still want": "authentication_failed",
		"ping: invalid connection":                                          "connection_lost",
		// go-mysql-org/go-mysql
		"ERROR 1045 (28000): Access denied for user 'app'":                 "authentication_failed",
		"replica 2: Error 7: see below: Error 1045 (28000): Access denied": "authentication_failed",
		// modernc.org/sqlite
		"database is locked (5) (SQLITE_BUSY)":             "timeout",
		"database is locked (261)":                         "timeout",
		"database table is locked: orders (6)":             "timeout",
		"attempt to write a readonly database (8)":         "read_only",
		"unable to open database file: out of memory (14)": "not_found",
		"database or disk is full (13)":                    "out_of_resources",
		"file is not a database (26)":                      "misconfigured",
		"SQL logic error: no such table: orders (1)":       "not_found",
		"disk I/O error (10)":                              "failed",
		"database disk image is malformed (11)":            "failed",
		// mattn/go-sqlite3
		"database is locked":                                      "timeout",
		"attempt to write a readonly database":                    "read_only",
		"no such table: orders":                                   "not_found",
		"unable to open database file: no such file or directory": "not_found",
		"unable to open database file: permission denied":         "permission_denied",
		"unable to open database file: too many open files":       "out_of_resources",
		"orders: database is locked":                              "timeout",
	}
	for text, want := range tests {
		assert.Equal(t, want, reason.Of(errors.New(text)), text)
		assert.Equal(t, want, reason.Of(fmt.Errorf("%w in orders", errors.New(text))), text)
	}
}

// A text that only resembles a database's error must not be recognized.
func TestTextsOfOtherPrograms(t *testing.T) {
	for _, text := range []string{
		"Error 1053: The service did not respond to the start or control request in a timely fashion", // Windows
		"Error 1040: something", "Error 1015: You are being rate limited",
		"HTTP Error 1040 (Cloud): no", "Error 1040 (08004)", "Error 1040 (080): x", "Error (28000): x",
		"Error 70000 (28000): x",
		"Error -1045 (28000): x", "Error 1040", "Error ", "Error", "error 1045 (28000): x", "Terror1045 (28000): x",
		"the request has an invalid connection id", "connection: an invalid connection", "invalid connections",
		"the tenant's database is locked by an administrator", "database is lockedx", "no such tablet",
		"this user requires old password authentication before noon",
	} {
		assert.Equal(t, probes.ReasonFailed, reason.Of(errors.New(text)), text)
	}
	// The SQLSTATE of the server's own error counts, not one that its message quotes.
	quoting := quotingError{"HV000", "mysql_fdw: Error 1045 (28000): Access denied"}
	assert.Equal(t, probes.ReasonFailed, reason.Of(quoting))
	assert.Equal(t, probes.ReasonFailed, reason.Of(quotingError{"XX000", "plperl: database is locked"}))
	assert.Equal(t, probes.ReasonConnectionLost, reason.Of(errors.Join(driver.ErrBadConn, errors.New("x"))))
}

type quotingError struct{ state, text string }

func (e quotingError) Error() string    { return "ERROR: " + e.text + " (SQLSTATE " + e.state + ")" }
func (e quotingError) SQLState() string { return e.state }

// These errors of the file system can also come from a database in a file.
func TestFileSystem(t *testing.T) {
	for errno, want := range map[syscall.Errno]probes.Reason{
		syscall.ENOSPC: "out_of_resources", syscall.EDQUOT: "out_of_resources", syscall.EROFS: "read_only",
	} {
		assert.Equal(t, want, reason.Of(&fs.PathError{Op: "write", Path: "/data", Err: errno}), "%v", errno)
		assert.Equal(t, want, reason.Of(os.NewSyscallError("write", errno)), "%v", errno)
	}
}
