package grpchealth_test

import (
	"context"
	"fmt"
	"log"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/grpchealth"
	"github.com/echo-probes/echohealth/probes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func Example() {
	reachable := probes.Func(func(context.Context) error { return nil })
	health, err := echohealth.New(
		echohealth.WithDatabase(reachable),
		echohealth.WithGroup("payment", "database"),
	)
	if err != nil {
		log.Fatal(err)
	}
	defer health.Close()

	server := grpc.NewServer()
	answers := grpchealth.New(health)
	grpc_health_v1.RegisterHealthServer(server, answers)

	// What a client with grpc-health-probe -service=payment receives:
	response, err := answers.Check(context.Background(), &grpc_health_v1.HealthCheckRequest{Service: "payment"})
	fmt.Println(response.GetStatus(), err)
	// Output: SERVING <nil>
}
