// An application outside this repository that serves gRPC.
package main

import (
	"log"
	"net"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/grpchealth"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func main() {
	health, err := echohealth.New()
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, grpchealth.New(health))
	listener, err := net.Listen("tcp", ":50051")
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(server.Serve(listener))
}
