// Package balancers tests docs/load-balancers.md with a real HAProxy, a real nginx and a real Caddy: two
// instances of a service are replaced one after the other behind each of them, under a constant load, and
// the requests that fail are counted. The configurations are the blocks of that page.
//
//	go test -C e2e -race -v ./balancers/                          # the page's settings, 20 seconds
//	ECHOHEALTH_BALANCERS=3 go test -C e2e -v -timeout 30m -run Figures ./balancers/   # the figures of the page
//
// With ECHOHEALTH_BALANCERS each balancer replaces the two instances so many times, with its defaults and
// with the page's settings, one balancer at a time.
//
// rolling_test.go is the test, service_test.go has the instances, load_test.go asks them, page_test.go
// reads the page, and checks_test.go shows what HAProxy takes for success.
package balancers
