// Package faults holds the tests of what the library is for: that something is broken. They break real
// servers, and the network in front of them, in every way that is known to them, and hold the answers of a
// real Health to the table in docs/reliability.md, which they wrote:
//
//	go test -C e2e -race ./faults/
//	go test -C e2e -race ./faults/ -write   # writes it and the appendix's tables
//
// faults_test.go is the list of the faults, a scene plays one of them on one kind of server, and a rig is a
// service that is looked at meanwhile.
package faults
