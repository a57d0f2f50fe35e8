package reason

import (
	"strings"

	"github.com/echo-probes/echohealth/probes"
)

// bySQLAnswer returns the reason for a PostgreSQL error. The drivers (pgx, lib/pq) have a method that returns
// the code. If the code is too general, the text decides. The codes:
// https://www.postgresql.org/docs/current/errcodes-appendix.html
func bySQLAnswer(code, text string) probes.Reason {
	var reason probes.Reason
	switch code {
	case "08P01":
		reason = lookIn(ends(text), poolerTexts)
	case "P0001": // RAISE, by a login trigger or by a function that the statement calls
		if strings.HasPrefix(text, "FATAL") {
			reason = probes.ReasonPermissionDenied
		}
	}
	if reason == "" {
		reason = lookUp(sqlStates, code)
	}
	if reason == "" && len(code) == 5 {
		reason = lookUp(sqlClasses, code[:2])
	}
	return reason
}

var sqlStates = []word{
	{"0A000", probes.ReasonMisconfigured},  // such as the protocol's version
	{"22023", probes.ReasonMisconfigured},  // invalid parameter value
	{"25006", probes.ReasonReadOnly},       // in a read-only transaction
	{"25P03", probes.ReasonConnectionLost}, // idle in transaction for too long
	{"25P04", probes.ReasonTimeout},        // transaction timeout
	{"26000", probes.ReasonMisconfigured},  // no such prepared statement: it was prepared on another connection
	{"3D000", probes.ReasonNotFound},       // database
	{"3F000", probes.ReasonNotFound},       // schema
	{"42P01", probes.ReasonNotFound},       // table
	{"42501", probes.ReasonPermissionDenied},
	{"53300", probes.ReasonTooManyConnections},
	{"42S02", probes.ReasonNotFound},           // table, of MySQL
	{"55000", probes.ReasonDependencyStarting}, // the database accepts no connections for now
	{"55P02", probes.ReasonMisconfigured},      // the parameter can't be set now
	{"55P03", probes.ReasonTimeout},            // lock not available
	{"57014", probes.ReasonTimeout},            // statement timeout
	{"57P01", probes.ReasonDependencyStarting}, // shutdown by an administrator
	{"57P02", probes.ReasonDependencyStarting}, // crash shutdown
	{"57P03", probes.ReasonDependencyStarting}, // cannot connect now
	{"57P04", probes.ReasonNotFound},           // database dropped
	{"57P05", probes.ReasonConnectionLost},     // idle session timeout
	{"70100", probes.ReasonTimeout},            // interrupted, of MySQL
	{"HY001", probes.ReasonOutOfResources},     // memory, of MySQL
}

// sqlClasses maps a class to the reason of all its codes, except the codes in sqlStates. The codes of all
// other classes, such as XX001 for corrupted data, have the reason "failed".
var sqlClasses = []word{
	{"08", probes.ReasonConnectionLost},
	{"28", probes.ReasonAuthenticationFailed},
	{"42", probes.ReasonMisconfigured}, // the statement, or a parameter of the connection string
	{"53", probes.ReasonOutOfResources},
	{"58", probes.ReasonOutOfResources}, // the server's system fails, such as its disk
	{"F0", probes.ReasonMisconfigured},  // the server's configuration file
}

// poolerTexts are for SQLSTATE 08P01. PgBouncer gives it to all errors of its own, and before 1.20 to those
// of the PostgreSQL behind it that it passes on at a login. The first text of the table that an error
// contains decides. An error that contains none of them is a lost connection, such as "client_idle_timeout"
// and "server conn crashed?".
var poolerTexts = []word{
	{"no such database", probes.ReasonNotFound},
	{"unsupported ", probes.ReasonMisconfigured}, // startup parameter
	{"bouncer config error", probes.ReasonMisconfigured},
	{"prepared statement", probes.ReasonMisconfigured},
	{"transaction blocks not allowed", probes.ReasonMisconfigured}, // pool_mode=statement
	{"PQexec disallowed", probes.ReasonMisconfigured},
	{"not supported by this build", probes.ReasonMisconfigured},
	{"no authentication method", probes.ReasonMisconfigured},
	{"auth_ldap_options", probes.ReasonMisconfigured},
	{"SSL required", probes.ReasonTLSError},
	{"no more connections", probes.ReasonTooManyConnections},  // max_client_conn
	{"connections exceeded", probes.ReasonTooManyConnections}, // max_db_client_connections, …_user_…
	{"too many", probes.ReasonTooManyConnections},             // of PostgreSQL, also the next one
	{"connection slots", probes.ReasonTooManyConnections},
	{"memory", probes.ReasonOutOfResources},
	{"resources exhaustion", probes.ReasonOutOfResources},
	{"permission denied", probes.ReasonPermissionDenied},
	{"authentication", probes.ReasonAuthenticationFailed},
	{"password", probes.ReasonAuthenticationFailed}, // is empty, too long, or of the wrong type
	{"username", probes.ReasonAuthenticationFailed},
	{"no such user", probes.ReasonAuthenticationFailed},
	{"login rejected", probes.ReasonAuthenticationFailed},
	{"pg_hba.conf", probes.ReasonAuthenticationFailed},
	{"role \"", probes.ReasonAuthenticationFailed}, // does not exist, or may not log in
	{"does not exist", probes.ReasonNotFound},      // database
	{"is disabled", probes.ReasonDependencyStarting},
	{"shutting down", probes.ReasonDependencyStarting},
	{"database system is", probes.ReasonDependencyStarting},
	{"currently accepting", probes.ReasonDependencyStarting},
	{"server login", probes.ReasonUnreachable}, // the PostgreSQL behind it, also the next one
	{"server down", probes.ReasonUnreachable},
	{"idle_timeout", probes.ReasonConnectionLost},
	{"suspend_timeout", probes.ReasonConnectionLost},
	{"timeout", probes.ReasonTimeout}, // query_wait_timeout and others
	{"not allowed", probes.ReasonPermissionDenied},
}

// byRedisReply reads the first word of an error reply, which is Redis's error code.
func byRedisReply(reply string) probes.Reason {
	code, rest, _ := strings.Cut(ends(reply), " ")
	if code != "ERR" {
		return lookUp(redisCodes, code)
	}
	return lookIn(rest, redisTexts)
}

var redisCodes = []word{
	{"WRONGPASS", probes.ReasonAuthenticationFailed},
	{"NOAUTH", probes.ReasonAuthenticationFailed},
	{"NOPERM", probes.ReasonPermissionDenied},
	{"DENIED", probes.ReasonPermissionDenied}, // protected mode
	{"READONLY", probes.ReasonReadOnly},
	{"OOM", probes.ReasonOutOfResources},
	{"MISCONF", probes.ReasonOutOfResources}, // it can't save to disk, and so takes no writes
	{"NOREPLICAS", probes.ReasonOutOfResources},
	{"LOADING", probes.ReasonDependencyStarting},
	{"CLUSTERDOWN", probes.ReasonDependencyStarting},
	{"MASTERDOWN", probes.ReasonDependencyStarting},
	{"BUSY", probes.ReasonDependencyStarting}, // a script runs on
	{"TRYAGAIN", probes.ReasonDependencyStarting},
	{"MOVED", probes.ReasonMisconfigured}, // a plain client on a cluster's node
	{"ASK", probes.ReasonMisconfigured},
	{"WRONGTYPE", probes.ReasonMisconfigured},
	{"redis:", probes.ReasonNotFound}, // "redis: nil": Sentinel does not know the master
}

var redisTexts = []word{
	{"DB index is out of range", probes.ReasonNotFound},
	{"max number of clients reached", probes.ReasonTooManyConnections},
	{"cluster support disabled", probes.ReasonMisconfigured},
	{"unknown command", probes.ReasonMisconfigured},
	{"invalid password", probes.ReasonAuthenticationFailed}, // before Redis 6
	{"AUTH", probes.ReasonAuthenticationFailed},             // a password was sent to a server that has none
}
