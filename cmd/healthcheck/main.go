// Command healthcheck requests the health of a service and reports it. Its exit code is 0 if the service is
// well, and otherwise 1. "healthcheck --help" describes its flags. Package
// github.com/echo-probes/echohealth/healthcheck contains the same command, for a subcommand of an
// application.
package main

import (
	"os"

	"github.com/echo-probes/echohealth/healthcheck"
)

func main() {
	os.Exit(healthcheck.Main(os.Args[1:], os.Stdout, os.Stderr))
}
