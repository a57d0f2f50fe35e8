package reason

import (
	"strings"

	"github.com/echo-probes/echohealth/probes"
)

// bySQLState reads the code that PostgreSQL's drivers (pgx, lib/pq) give by a method.
// The codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
func bySQLState(code string) probes.Reason {
	if reason := lookUp(sqlStates, code); reason != "" || len(code) != 5 {
		return reason
	}
	return lookUp(sqlClasses, code[:2])
}

var sqlStates = []word{
	{"25006", probes.ReasonReadOnly},
	{"3D000", probes.ReasonNotFound}, // database
	{"3F000", probes.ReasonNotFound}, // schema
	{"42P01", probes.ReasonNotFound}, // table
	{"42501", probes.ReasonPermissionDenied},
	{"42704", probes.ReasonMisconfigured}, // unrecognized configuration parameter
	{"53300", probes.ReasonTooManyConnections},
	{"55000", probes.ReasonDependencyStarting}, // the database accepts no connections for now
	{"55P03", probes.ReasonTimeout},            // lock not available
	{"57014", probes.ReasonTimeout},            // statement timeout
	{"57P01", probes.ReasonDependencyStarting}, // shutdown by an administrator
	{"57P02", probes.ReasonDependencyStarting}, // crash shutdown
	{"57P03", probes.ReasonDependencyStarting}, // cannot connect now
	{"57P05", probes.ReasonConnectionLost},     // idle session timeout
}

var sqlClasses = []word{
	{"08", probes.ReasonConnectionLost},
	{"28", probes.ReasonAuthenticationFailed},
	{"53", probes.ReasonOutOfResources},
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
