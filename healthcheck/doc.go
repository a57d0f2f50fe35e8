// Package healthcheck is the command that asks a service for its health, as a function: for HEALTHCHECK in a Dockerfile, for a probe that
// executes something, and for people. An application calls it for a subcommand of its own, so that an image without a shell and without curl
// needs no second binary:
//
//	if len(os.Args) > 1 && os.Args[1] == "healthcheck" {
//		os.Exit(healthcheck.Main(os.Args[2:], os.Stdout, os.Stderr))
//	}
//
// and in the Dockerfile:
//
//	HEALTHCHECK CMD ["/app", "healthcheck", "http://localhost:8000"]
//
// Where nothing is to be linked into the application, cmd/healthcheck is the same as a program.
//
// It knows the answers of echohealth by what they look like and not by importing it, and speaks HTTP/1.1 over connections of its own: there is
// no proxy, no redirect and no retry in it, so what it says is about the one request that it sent. Text that came over the network reaches a
// terminal without control characters, and cut to a length.
package healthcheck
