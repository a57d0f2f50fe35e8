package reason

import "github.com/echo-probes/echohealth/probes"

// sqliteTexts has SQLite's texts for its result codes. A text that contains another one comes first. All
// drivers for SQLite have the text in their errors. modernc.org/sqlite adds the code, and mattn/go-sqlite3
// adds the error of the operating system. An I/O error or a malformed file has no entry and so the reason
// "failed". The codes: https://www.sqlite.org/rescode.html
var sqliteTexts = []word{
	{"database is locked", probes.ReasonTimeout}, // the lock was held longer than busy_timeout
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
	{"file is not a database", probes.ReasonMisconfigured}, // or the encryption key is wrong
}
