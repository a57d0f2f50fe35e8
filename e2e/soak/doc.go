// Package soak tests a service under load for minutes. During this time, the test kills, freezes and restarts
// the servers that the service depends on, at random, and sometimes all of them at the same time.
//
//	go test -C e2e -race -v ./soak/                           # three minutes, 150 requests a second
//	ECHOHEALTH_SOAK=3m go test -C e2e -race -v ./soak/        # the same, 1,000 requests a second
//	ECHOHEALTH_SOAK=5s go test -C e2e -race -v ./soak/        # half a minute, one or two faults a server
//	ECHOHEALTH_SOAK=1h go test -C e2e -v -timeout 2h ./soak/  # as long as you like
//	ECHOHEALTH_SOAK_SEED=42 … # the faults of the run that has logged this seed, in the same order
//
// soak_test.go contains the test, victims_test.go the servers and their faults, service_test.go the service,
// and load_test.go the clients. judge_test.go compares each answer with the known state of the servers.
// footprint_test.go counts the resources that the process holds.
package soak
