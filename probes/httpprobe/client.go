package httpprobe

import (
	"crypto/tls"
	"net/http"
	"time"
)

// sharedClient has time limits that also apply if a check's context has no deadline. It speaks only HTTP/1.1,
// because HTTP/1.1 closes a connection when a request on it times out. HTTP/2 would send the next request
// over the same connection, even if the connection is dead.
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
			DisableCompression:     true, // the probe discards the body, or reads only 4 KB of it
			Protocols:              http1(),
		},
	})
}

func http1() *http.Protocols {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	return &protocols
}

// withoutRedirects returns a copy of client that does not follow redirects but returns their responses.
func withoutRedirects(client http.Client) *http.Client {
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client
}
