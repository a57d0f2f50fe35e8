package grpchealth

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// httpRequest returns the HTTP request of a gRPC call, so that a Guard can judge it.
func httpRequest(ctx context.Context, method string) *http.Request {
	r := &http.Request{
		Method: http.MethodPost, URL: &url.URL{Path: method}, RequestURI: method,
		Proto: "HTTP/2.0", ProtoMajor: 2, Header: http.Header{}, Body: http.NoBody,
	}
	sent, _ := metadata.FromIncomingContext(ctx)
	for name, values := range sent {
		switch {
		case name == ":authority":
			r.Host = values[0]
		case !strings.HasPrefix(name, ":"):
			r.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	if client, ok := peer.FromContext(ctx); ok {
		if client.Addr != nil {
			r.RemoteAddr = client.Addr.String()
		}
		if info, ok := client.AuthInfo.(credentials.TLSInfo); ok {
			r.TLS = &info.State
		}
	}
	return r.WithContext(ctx)
}
