// Package faults tests what the library is for: the detection of faults. The tests break real servers, and
// the network in front of them, in many ways. They compare the answers of a real Health with the table in
// docs/reliability.md, which the tests themselves have written:
//
//	go test -C e2e -race ./faults/
//	go test -C e2e -race ./faults/ -write   # writes the table, and the tables of the appendix
//
// faults_test.go lists the faults. A scene produces one fault on one kind of server. A rig is the service
// whose answers are observed during the fault.
package faults
