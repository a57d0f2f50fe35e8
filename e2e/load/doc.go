// Package load tests what health checks cost an application under load. 500 connections request readiness,
// and the application's own queries keep the same pool of connections to PostgreSQL busy.
//
//	go test -C e2e -race -v ./load/                  # 25 seconds
//	ECHOHEALTH_LOAD=10s go test -C e2e -v ./load/ # rounds as long as those of docs/performance.md
//
// With ECHOHEALTH_LOAD it also compares the time of readiness with that of a static answer.
//
// load_test.go contains the test, service_test.go the service and the services to compare it with,
// clients_test.go the clients, and sample_test.go the counters.
package load
