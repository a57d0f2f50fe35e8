package reason

import "github.com/echo-probes/echohealth/probes"

// sqliteTexts are SQLite's own texts for its result codes, the longer ones first. All of SQLite's drivers
// have them in their errors: modernc.org/sqlite adds the code, mattn/go-sqlite3 the error of the operating
// system. An I/O error and a malformed file have no word.
// The list: https://www.sqlite.org/rescode.html
var sqliteTexts = []word{
	{"database is locked", probes.ReasonTimeout}, // for busy_timeout
	{"database table is locked", probes.ReasonTimeout},
	{"locking protocol", probes.ReasonTimeout},
	{"attempt to write a readonly database", probes.ReasonReadOnly},
	{"database or disk is full", probes.ReasonOutOfResources},
	{"unable to open database file: permission denied", probes.ReasonPermissionDenied},
	{"unable to open database file: too many open files", probes.ReasonOutOfResources},
	{"unable to open database file", probes.ReasonNotFound},
	{"no such table", probes.ReasonNotFound},
	{"access permission denied", probes.ReasonPermissionDenied},
	{"authorization denied", probes.ReasonPermissionDenied},
	{"file is not a database", probes.ReasonMisconfigured}, // or its key is wrong
}
