package httpprobe

import (
	"crypto/tls"
	"net/http"
	"time"
)

// sharedClient has limits that also hold for a context without a deadline. It speaks only HTTP/1.1, which
// gives up a connection when a request on it times out. HTTP/2 would send the next request over the same
// connection, even if it is dead.
var sharedClient = newClient(nil)

func newClient(config *tls.Config) *http.Client {
	return withoutRedirects(http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			OnProxyConnectResponse: judgeProxy,
			DialContext:            dial,
			TLSClientConfig:        config,
			TLSHandshakeTimeout:    5 * time.Second,
			MaxIdleConns:           100,
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        90 * time.Second,
			MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:     true, // the body is short, or discarded
			Protocols:              http1(),
		},
	})
}

func http1() *http.Protocols {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &protocols
}

// withoutRedirects returns a copy of client that returns a redirect as the response.
func withoutRedirects(client http.Client) *http.Client {
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}
