// Package healthcheck contains a command that requests the health of a service and reports it. The command is
// a function, for HEALTHCHECK in a Dockerfile, for exec probes, and for terminals. An application calls it in
// a subcommand, so that an image without a shell and curl needs no second binary:
//
//	if len(os.Args) > 1 && os.Args[1] == "healthcheck" {
//		os.Exit(healthcheck.Main(os.Args[2:], os.Stdout, os.Stderr))
//	}
//
// The Dockerfile names the subcommand:
//
//	HEALTHCHECK CMD ["/app", "healthcheck", "http://localhost:8000"]
//
// The program cmd/healthcheck is the same command, for applications that do not link this package.
//
// The command does not import echohealth. It recognizes health answers by their structure. It speaks HTTP/1.1
// and uses no proxy, follows no redirect and retries no request, so that each result is about one request. It
// removes control characters from everything that a server sent, and limits its length.
package healthcheck
