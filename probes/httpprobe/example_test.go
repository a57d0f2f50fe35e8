package httpprobe_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/httpprobe"
)

func Example() {
	billing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
	}))
	defer billing.Close()
	probe := httpprobe.New(billing.URL + "/healthz") // echohealth.WithCheck("billing", probe)
	defer probe.Close()

	result := probe.Check(context.Background())
	fmt.Println(result.Status, result.Reason, result.Details)
	// Output: error permission_denied [status_code=403]
}

// Elasticsearch answers 408 when the cluster is red.
func ExampleHeader() {
	httpprobe.New("https://search.internal/_cluster/health?wait_for_status=yellow&timeout=0s",
		httpprobe.Header("Authorization", "ApiKey …"))
}

func ExampleExpect() {
	search := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"cluster_name":"search","status":"red"}`)
	}))
	defer search.Close()
	probe := httpprobe.New(search.URL, httpprobe.Expect(func(status int, body []byte) error {
		var health struct{ Status string }
		switch err := json.Unmarshal(body, &health); {
		case status != http.StatusOK:
			return fmt.Errorf("HTTP status %d", status)
		case err != nil:
			return err
		case health.Status == "red":
			return probes.Fail("cluster_red", nil)
		case health.Status == "yellow":
			return probes.Warn("cluster_yellow", nil)
		}
		return nil
	}))
	defer probe.Close()

	result := probe.Check(context.Background())
	fmt.Println(result.Status, result.Reason)
	// Output: error cluster_red
}

func ExampleClient() {
	client := &http.Client{Timeout: 2 * time.Second} // with the application's certificates, proxy, …
	httpprobe.New("https://billing.internal/healthz", httpprobe.Client(client))
}
