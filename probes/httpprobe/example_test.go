package httpprobe_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

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

func ExampleHeader() {
	httpprobe.New("https://search.internal/_cluster/health", httpprobe.Header("Authorization", "ApiKey …"))
}

func ExampleClient() {
	client := &http.Client{Timeout: 2 * time.Second} // with the application's certificates, proxy, …
	httpprobe.New("https://billing.internal/healthz", httpprobe.Client(client))
}
