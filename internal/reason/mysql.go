package reason

import (
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/echo-probes/echohealth/probes"
)

// byMySQL returns the reason for an error of a MySQL or MariaDB server. The drivers' errors have no method
// that gives the number, so only the text and the type's name remain.
func byMySQL(err error, text string) probes.Reason {
	number, state, message := cutMySQLError(text)
	switch {
	case state == "" && !isMySQLError(err):
		return "" // programs of other kinds number their errors too
	case number == optionPreventsStatement && !strings.Contains(message, "read-only"):
		return probes.ReasonMisconfigured // by another option, such as --skip-grant-tables
	case strings.Contains(message, "No space left on device"):
		return probes.ReasonOutOfResources // a part of several errors of files and storage engines
	}
	for _, known := range mySQLNumbers {
		if slices.Contains(known.numbers, number) {
			return known.reason
		}
	}
	return bySQLAnswer(state, "")
}

// isMySQLError reports whether err is of the type that go-sql-driver/mysql and its forks have.
func isMySQLError(err error) bool {
	return strings.HasSuffix(reflect.TypeOf(err).String(), ".MySQLError")
}

// cutMySQLError finds "Error 1049 (42000): message" in text, or "Error 1049: message" at its beginning, which
// an old server or driver writes, and a server that refuses a connection at once. The state is empty without
// it, and if there is neither.
func cutMySQLError(text string) (number uint16, state, message string) {
	for at := range len(text) {
		rest, ok := strings.CutPrefix(text[at:], "Error ")
		if !ok {
			rest, ok = strings.CutPrefix(text[at:], "ERROR ") // go-mysql-org/go-mysql
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

// mySQLNumbers are the errors of the servers, and those of the client library, which a proxy may pass on. If
// MySQL and MariaDB use a number differently, no query of a check can cause the error with the other meaning.
// An error that is not in the list gets its reason by the class of its SQLSTATE. The lists:
// https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html and
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
		1044,                   // database
		1142, 1143, 1227, 1370, // table, column, operation, routine
		1129, // the host has caused too many connection errors
	}},
	{probes.ReasonNotFound, []uint16{1049, 1146}}, // database, table
	{probes.ReasonTooManyConnections, []uint16{1040, 1203, 1226}},
	{probes.ReasonReadOnly, []uint16{optionPreventsStatement, 1036, 1792, 1836, 1874, 3989}},
	{probes.ReasonOutOfResources, []uint16{
		1021, 1114, 3019, 4139, // disk, table, undo log, index file
		1037, 1038, 1041, 1257, 3015, 3044, 3170, 4081, 4082, // memory
		1135, 1206, 1461, 1637, // threads, locks, prepared statements, transactions
	}},
	{probes.ReasonDependencyStarting, []uint16{
		1053, 3032, 3168, // shutdown, offline mode, not available
		1047, // Galera: the node is not ready
	}},
	{probes.ReasonTimeout, []uint16{
		1205, 3572, // lock
		1317, 1969, 3024, // statement
		1159, 1161, 9001, // network; 9001 is ProxySQL's
	}},
	{probes.ReasonConnectionLost, []uint16{
		1152, 1184, 1927, 3169, 4031, // aborted, killed, idle for too long
		2006, 2013, 2055,
	}},
	{probes.ReasonConnectionRefused, []uint16{2002, 2003}},
	{probes.ReasonHostNotFound, []uint16{2005}},
	{probes.ReasonTLSError, []uint16{2026, 3159}},
	{probes.ReasonMisconfigured, []uint16{
		1043, 1153, // handshake, packet
		1046,                         // the connection string names no database
		1115, 1193, 1231, 1273, 1298, // its character set, variable, value, collation, time zone
	}},
}

// mySQLTexts are errors of go-sql-driver/mysql itself.
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
