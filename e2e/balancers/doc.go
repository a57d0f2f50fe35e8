// Package balancers tests docs/load-balancers.md with a real HAProxy, a real nginx and a real Caddy. Behind
// each of them, two instances of a service are replaced one after the other under a constant load, and the
// failed requests are counted. The configurations are the blocks of that page.
//
//	go test -C e2e -race -v ./balancers/                          # the page's settings, 20 seconds
//	ECHOHEALTH_BALANCERS=3 go test -C e2e -v -timeout 30m -run Figures ./balancers/   # the figures of the page
//
// ECHOHEALTH_BALANCERS is how often the two instances are replaced behind each balancer, with its default
// settings and with the page's settings. The balancers run one at a time.
//
// rolling_test.go contains the test, service_test.go the instances, load_test.go the clients and page_test.go
// the reader of the page. checks_test.go tests which answers HAProxy accepts as success.
package balancers
