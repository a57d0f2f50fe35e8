package reason

import (
	"strings"

	"github.com/echo-probes/echohealth/probes"
)

// bySQLAnswer returns the reason for a PostgreSQL error. The errors of the drivers pgx and lib/pq have a
// method that returns the code. If the code is too general, the text decides. The codes:
// https://www.postgresql.org/docs/current/errcodes-appendix.html
func bySQLAnswer(code, text string) probes.Reason {
	var reason probes.Reason
	switch code {
	case "08P01":
		reason = lookIn(ends(text), poolerTexts)
	case "P0001": // RAISE in a login trigger, or in a function that the statement calls
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
	{"0A000", probes.ReasonMisconfigured},  // not supported, such as the protocol's version
	{"22023", probes.ReasonMisconfigured},  // invalid parameter value
	{"25006", probes.ReasonReadOnly},       // a write in a read-only transaction
	{"25P03", probes.ReasonConnectionLost}, // the transaction was idle for too long
	{"25P04", probes.ReasonTimeout},        // transaction timeout
	{"26000", probes.ReasonMisconfigured},  // the prepared statement exists on another connection only
	{"3D000", probes.ReasonNotFound},       // the database does not exist
	{"3F000", probes.ReasonNotFound},       // the schema does not exist
	{"42P01", probes.ReasonNotFound},       // the table does not exist
	{"42501", probes.ReasonPermissionDenied},
	{"53300", probes.ReasonTooManyConnections},
	{"42S02", probes.ReasonNotFound},           // MySQL: the table does not exist
	{"55000", probes.ReasonDependencyStarting}, // the database accepts no connections for now
	{"55P02", probes.ReasonMisconfigured},      // the parameter can't be changed now
	{"55P03", probes.ReasonTimeout},            // a lock was not available in time
	{"57014", probes.ReasonTimeout},            // statement timeout
	{"57P01", probes.ReasonDependencyStarting}, // an administrator shut the server down
	{"57P02", probes.ReasonDependencyStarting}, // another server process crashed
	{"57P03", probes.ReasonDependencyStarting}, // the server starts up or shuts down
	{"57P04", probes.ReasonNotFound},           // the database was dropped
	{"57P05", probes.ReasonConnectionLost},     // idle session timeout
	{"70100", probes.ReasonTimeout},            // MySQL: the statement was interrupted
	{"HY001", probes.ReasonOutOfResources},     // MySQL: no memory is left
}

// sqlClasses maps the class of a code, its first two characters, to a reason. It is for the codes that
// sqlStates lacks. A code of another class, such as XX001 for corrupted data, has the reason "failed".
var sqlClasses = []word{
	{"08", probes.ReasonConnectionLost},
	{"28", probes.ReasonAuthenticationFailed},
	{"42", probes.ReasonMisconfigured}, // an error in the statement, or in a parameter of the connection string
	{"53", probes.ReasonOutOfResources},
	{"58", probes.ReasonOutOfResources}, // an error of the server's operating system, such as a full disk
	{"F0", probes.ReasonMisconfigured},  // an error in the server's configuration file
}

// poolerTexts is for SQLSTATE 08P01. PgBouncer uses this code for all its own errors. Before 1.20 it also
// uses the code at a login for the errors of the PostgreSQL server behind it. The first text of the table
// that the error contains decides. An error without any of the texts has the reason of class 08, a lost
// connection.
var poolerTexts = []word{
	{"no such database", probes.ReasonNotFound},
	{"unsupported ", probes.ReasonMisconfigured}, // a startup parameter is not supported
	{"bouncer config error", probes.ReasonMisconfigured},
	{"prepared statement", probes.ReasonMisconfigured},
	{"transaction blocks not allowed", probes.ReasonMisconfigured}, // pool_mode=statement
	{"PQexec disallowed", probes.ReasonMisconfigured},
	{"not supported by this build", probes.ReasonMisconfigured},
	{"no authentication method", probes.ReasonMisconfigured},
	{"auth_ldap_options", probes.ReasonMisconfigured},
	{"SSL required", probes.ReasonTLSError},
	{"no more connections", probes.ReasonTooManyConnections},  // max_client_conn
	{"connections exceeded", probes.ReasonTooManyConnections}, // max_db_client_connections and others
	{"too many", probes.ReasonTooManyConnections},             // from PostgreSQL, and so is the next text
	{"connection slots", probes.ReasonTooManyConnections},
	{"memory", probes.ReasonOutOfResources},
	{"resources exhaustion", probes.ReasonOutOfResources},
	{"permission denied", probes.ReasonPermissionDenied},
	{"authentication", probes.ReasonAuthenticationFailed},
	{"password", probes.ReasonAuthenticationFailed}, // wrong, empty, too long or of the wrong type
	{"username", probes.ReasonAuthenticationFailed},
	{"no such user", probes.ReasonAuthenticationFailed},
	{"login rejected", probes.ReasonAuthenticationFailed},
	{"pg_hba.conf", probes.ReasonAuthenticationFailed},
	{"role \"", probes.ReasonAuthenticationFailed}, // the role does not exist, or is not allowed to log in
	{"does not exist", probes.ReasonNotFound},      // the database does not exist
	{"is disabled", probes.ReasonDependencyStarting},
	{"shutting down", probes.ReasonDependencyStarting},
	{"database system is", probes.ReasonDependencyStarting},
	{"currently accepting", probes.ReasonDependencyStarting},
	{"server login", probes.ReasonUnreachable}, // PgBouncer can't reach PostgreSQL, also in the next text
	{"server down", probes.ReasonUnreachable},
	{"idle_timeout", probes.ReasonConnectionLost},
	{"suspend_timeout", probes.ReasonConnectionLost},
	{"timeout", probes.ReasonTimeout}, // query_wait_timeout and other limits of time
	{"not allowed", probes.ReasonPermissionDenied},
}

// byRedisReply returns the reason for an error reply of Redis. The reply's first word is the error code.
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
	{"DENIED", probes.ReasonPermissionDenied}, // Redis runs in protected mode
	{"READONLY", probes.ReasonReadOnly},
	{"OOM", probes.ReasonOutOfResources},
	{"MISCONF", probes.ReasonOutOfResources}, // Redis refuses writes, because it can't save to disk
	{"NOREPLICAS", probes.ReasonOutOfResources},
	{"LOADING", probes.ReasonDependencyStarting},
	{"CLUSTERDOWN", probes.ReasonDependencyStarting},
	{"MASTERDOWN", probes.ReasonDependencyStarting},
	{"BUSY", probes.ReasonDependencyStarting}, // a script takes too long
	{"TRYAGAIN", probes.ReasonDependencyStarting},
	{"MOVED", probes.ReasonMisconfigured}, // a client without cluster support on a cluster's node
	{"ASK", probes.ReasonMisconfigured},
	{"WRONGTYPE", probes.ReasonMisconfigured},
	{"redis:", probes.ReasonNotFound}, // "redis: nil": Sentinel does not know the master
}

var redisTexts = []word{
	{"DB index is out of range", probes.ReasonNotFound},
	{"max number of clients reached", probes.ReasonTooManyConnections},
	{"cluster support disabled", probes.ReasonMisconfigured},
	{"unknown command", probes.ReasonMisconfigured},
	{"invalid password", probes.ReasonAuthenticationFailed}, // the error before Redis 6
	{"AUTH", probes.ReasonAuthenticationFailed},             // a password was sent, but the server has none
}
