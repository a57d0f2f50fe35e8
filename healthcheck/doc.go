// Package healthcheck is a command that asks a service for its health, as a function. It is for HEALTHCHECK
// in a Dockerfile, for exec probes, and for terminals. An application calls it in a subcommand, so that an
// image without a shell and without curl needs no second binary:
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
// The command does not import echohealth, and recognizes its answers by their structure. It speaks HTTP/1.1
// over its own connections, without a proxy, redirects and retries, so that its result is about the one
// request that it sent. It removes control characters from everything that a server sent, and limits its
// length.
package healthcheck
