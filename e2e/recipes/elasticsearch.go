package recipes

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/echo-probes/echohealth/probes"
	"github.com/elastic/go-elasticsearch/v9/esapi"
)

// elasticsearchProbe takes an *elasticsearch.Client.
func elasticsearchProbe(client esapi.Transport) probes.Func {
	return func(ctx context.Context) error {
		response, err := esapi.ClusterHealthRequest{}.Do(ctx, client)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		switch response.StatusCode {
		case http.StatusOK:
		case http.StatusUnauthorized:
			return probes.Fail(probes.ReasonAuthenticationFailed, nil)
		case http.StatusForbidden:
			return probes.Fail(probes.ReasonPermissionDenied, nil)
		default:
			return fmt.Errorf("HTTP status %d", response.StatusCode)
		}
		var cluster struct{ Status string }
		if err := json.NewDecoder(response.Body).Decode(&cluster); err != nil {
			return err
		}
		switch cluster.Status {
		case "green":
			return nil
		case "yellow": // a copy of some data is missing, and every query is answered
			return probes.Warn("cluster_yellow", nil)
		}
		return probes.Fail("cluster_red", fmt.Errorf("the cluster's status is %q", cluster.Status))
	}
}
