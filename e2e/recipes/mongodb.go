package recipes

import (
	"context"
	"strings"
	"time"

	"github.com/echo-probes/echohealth/probes"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/readpref"
)

func mongoProbe(client *mongo.Client) probes.Func {
	return func(ctx context.Context) error {
		// Without this limit the driver would search for a server until the check times out, and the reason
		// would be timeout.
		ctx, cancel := context.WithTimeout(ctx, 600*time.Millisecond)
		defer cancel()
		err := client.Ping(ctx, readpref.Primary())
		switch {
		case err == nil:
			return nil
		case strings.Contains(err.Error(), "AuthenticationFailed"):
			return probes.Fail(probes.ReasonAuthenticationFailed, err)
		case strings.Contains(err.Error(), "connection refused"):
			return probes.Fail(probes.ReasonConnectionRefused, err)
		}
		return err
	}
}
