package reason

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/echo-probes/echohealth/probes"
)

// byMySQL returns the reason for an error of a MySQL or MariaDB server. It reads the error's text and the
// name of its type, because the drivers' errors have no method that returns the number.
func byMySQL(err error, text string) probes.Reason {
	number, state, message := cutMySQLError(text)
	switch {
	case state == "" && !isMySQLError(err):
		return "" // "Error 1049: ..." can be the text of any other program
	case number == optionPreventsStatement && !strings.Contains(message, "read-only"):
		return probes.ReasonMisconfigured // an option other than read_only, such as --skip-grant-tables
	case strings.Contains(message, "No space left on device"):
		return probes.ReasonOutOfResources // errors with several numbers have this text
	}
	for _, known := range mySQLNumbers {
		if slices.Contains(known.numbers, number) {
			return known.reason
		}
	}
	return bySQLAnswer(state, "")
}

// isMySQLError reports whether err has the type MySQLError of go-sql-driver/mysql or of a fork.
func isMySQLError(err error) bool {
	return strings.HasSuffix(reflect.TypeOf(err).String(), ".MySQLError")
}

// cutMySQLError finds "Error 1049 (42000): message" anywhere in text, or "Error 1049: message" at its
// beginning. The second form comes from an old server or driver, and from a server that refuses a connection
// before the login. With the second form, and if it finds neither, it returns an empty state.
func cutMySQLError(text string) (number uint16, state, message string) {
	for at := range len(text) {
		rest, ok := strings.CutPrefix(text[at:], "Error ")
		if !ok {
			rest, ok = strings.CutPrefix(text[at:], "ERROR ") // the spelling of go-mysql-org/go-mysql
		}
		if !ok {
			continue
		}
		after := strings.TrimLeft(rest, digits)
		n, err := strconv.ParseUint(rest[:len(rest)-len(after)], 10, 16)
		switch {
		case err != nil:
		case len(after) >= 10 && after[:2] == " (" && isState(after[2:7]) && after[7:10] == "): ":
			return uint16(n), after[2:7], after[10:]
		case at == 0 && strings.HasPrefix(after, ": "):
			return uint16(n), "", after[2:]
		}
	}
	return 0, "", ""
}

const digits = "0123456789"

// isState reports whether s has only the characters of a SQLSTATE.
func isState(s string) bool { return strings.TrimLeft(s, digits+"ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" }

const optionPreventsStatement = 1290

// mySQLNumbers maps error numbers to reasons. It has numbers of servers, and numbers of the client library,
// which a proxy may pass on. MySQL and MariaDB use some numbers differently. The table has the meaning that a
// query of a check can cause. A number that is not in the table gets its reason from its SQLSTATE. The
// numbers: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html and
// https://mariadb.com/kb/en/mariadb-error-codes/
var mySQLNumbers = []struct {
	reason  probes.Reason
	numbers []uint16
}{
	{probes.ReasonAuthenticationFailed, []uint16{
		1045, 1698, 1873, // access denied
		1130,                               // no account for this host
		1251, 1275, 1524, 2054, 2059, 2061, // the client and the account have no authentication method in common
		1820, 1862, // the password has expired
		3118, 3955, 4150, 4151, // the account is locked
	}},
	{probes.ReasonPermissionDenied, []uint16{
		1044,                   // access to the database is denied
		1142, 1143, 1227, 1370, // access to a table, column, operation or routine is denied
		1129, // the host has caused too many connection errors
	}},
	{probes.ReasonNotFound, []uint16{1049, 1146}}, // the database or the table does not exist
	{probes.ReasonTooManyConnections, []uint16{1040, 1203, 1226}},
	{probes.ReasonReadOnly, []uint16{optionPreventsStatement, 1036, 1792, 1836, 1874, 3989}},
	{probes.ReasonOutOfResources, []uint16{
		1021, 1114, 3019, 4139, // a disk, table, undo log or index file is full
		1037, 1038, 1041, 1257, 3015, 3044, 3170, 4081, 4082, // no memory is left
		1135, 1206, 1461, 1637, // too many threads, locks, prepared statements or transactions
	}},
	{probes.ReasonDependencyStarting, []uint16{
		1053, 3032, 3168, // the server shuts down, is in offline mode, or is not available
		1047, // Galera: the node is not ready
	}},
	{probes.ReasonTimeout, []uint16{
		1205, 3572, // waiting for a lock took too long
		1317, 1969, 3024, // the statement took too long or was interrupted
		1159, 1161, 9001, // the network was too slow; 9001 is ProxySQL's number
	}},
	{probes.ReasonConnectionLost, []uint16{
		1152, 1184, 1927, 3169, 4031, // the connection was aborted, killed, or idle for too long
		2006, 2013, 2055,
	}},
	{probes.ReasonConnectionRefused, []uint16{2002, 2003}},
	{probes.ReasonHostNotFound, []uint16{2005}},
	{probes.ReasonTLSError, []uint16{2026, 3159}},
	{probes.ReasonMisconfigured, []uint16{
		1043, 1153, // bad handshake, packet too large
		1046,                         // the connection string names no database
		1115, 1193, 1231, 1273, 1298, // unknown character set, variable, value, collation, time zone
	}},
}

// mySQLTexts are the texts of errors that go-sql-driver/mysql itself makes.
var mySQLTexts = []word{
	{"invalid connection", probes.ReasonConnectionLost},
	{"bad connection", probes.ReasonConnectionLost},
	{"busy buffer", probes.ReasonConnectionLost},
	{"commands out of sync", probes.ReasonConnectionLost},
	{"malformed packet", probes.ReasonMisconfigured}, // the server does not speak MySQL's protocol
	{"MySQL server does not support required protocol 41+", probes.ReasonMisconfigured},
	{"TLS requested but server does not support TLS", probes.ReasonTLSError},
	{"this authentication plugin is not supported", probes.ReasonAuthenticationFailed},
	{"this user requires clear text authentication", probes.ReasonAuthenticationFailed},
	{"this user requires mysql native password authentication", probes.ReasonAuthenticationFailed},
	{"this user requires old password authentication", probes.ReasonAuthenticationFailed},
}
