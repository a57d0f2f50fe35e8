package testserver_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
)

func TestBalancers(t *testing.T) {
	tests := []struct {
		name  string
		start func(testing.TB, func(addr string) string) *testserver.Balancer
		site  string
	}{
		{"HAProxy", testserver.NewHAProxy, "defaults\nmode http\ntimeout connect 5s\ntimeout client 5s\ntimeout server 5s\n" +
			"frontend f\nbind %s\nhttp-request return status 200\n"},
		{"nginx", testserver.NewNginx, "server { listen %s; return 200; }\n"},
		{"Caddy", testserver.NewCaddy, "http://%s {\n\trespond 200\n}\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			balancer := test.start(t, func(addr string) string { return fmt.Sprintf(test.site, addr) })
			for range 2 {
				response, err := http.Get("http://" + balancer.Addr())
				require.NoError(t, err)
				response.Body.Close()
				assert.Equal(t, http.StatusOK, response.StatusCode)
				balancer.Stop(t)
				refused(t, balancer.Addr())
				balancer.Start(t)
			}
		})
	}
}
