package recipes

import (
	"github.com/echo-probes/echohealth"
	"github.com/nats-io/nats.go"
	"go.mongodb.org/mongo-driver/v2/mongo"
)

func withRecipes(client *mongo.Client, conn *nats.Conn) []echohealth.Option {
	return []echohealth.Option{
		echohealth.WithCheck("orders", mongoProbe(client)),
		echohealth.WithCheck("events", natsProbe(conn), echohealth.Optional()),
	}
}
