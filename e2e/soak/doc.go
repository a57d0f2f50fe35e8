// Package soak holds the test that lets time pass: a service under load for minutes, while the servers that
// it depends on are killed, frozen and brought back at random, all of them at once at times.
//
//	go test -C e2e -race -v ./soak/                           # three minutes
//	ECHOHEALTH_SOAK=5s go test -C e2e -race -v ./soak/ # half a minute, one or two faults for each server
//	ECHOHEALTH_SOAK=1h go test -C e2e -v -timeout 2h ./soak/  # as long as you like
//	ECHOHEALTH_SOAK_SEED=42 … # the faults of the run that has logged this seed, in the same order
//
// soak_test.go is the test, victims_test.go are the servers and what is done to them, service_test.go is
// the service, load_test.go asks it, judge_test.go holds each answer to what is known of the servers, and
// footprint_test.go counts what the process holds.
package soak
