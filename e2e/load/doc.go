// Package load holds the test of what health checks cost the application under load: 500 connections that
// ask for readiness, while the application's own queries keep the same pool of connections to PostgreSQL
// busy.
//
//	go test -C e2e -race -v ./load/                  # 25 seconds
//	ECHOHEALTH_LOAD=10s go test -C e2e -v ./load/ # rounds as long as those of docs/performance.md
//
// load_test.go is the test, service_test.go the service and what it is compared with, clients_test.go asks
// it, and sample_test.go counts.
package load
