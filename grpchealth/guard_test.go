package grpchealth_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/grpchealth"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Groups and checks that the middleware would not show do not exist for a client of any method.
func TestGuards(t *testing.T) {
	checks := []echohealth.Option{
		echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(well),
		echohealth.WithGroup("payment", "database"), echohealth.WithGroup("cart", "database"),
	}
	token := echohealth.WithGuard(echohealth.BearerToken("s3cret"))
	local := echohealth.WithGuard(echohealth.Networks("127.0.0.0/8", "::1/128"))
	tests := map[string]struct {
		options  []echohealth.Option
		metadata []string
		want     []string // in addition to "" and Liveness
	}{
		"no guard":              {nil, nil, []string{"payment", "cart", "database"}},
		"no token":              {[]echohealth.Option{token}, nil, nil},
		"a wrong token":         {[]echohealth.Option{token}, []string{"authorization", "Bearer s3cre"}, nil},
		"the token":             {[]echohealth.Option{token}, []string{"authorization", "Bearer s3cret"}, []string{"payment", "cart", "database"}},
		"the network":           {[]echohealth.Option{local}, nil, []string{"payment", "cart", "database"}},
		"another network":       {[]echohealth.Option{echohealth.WithGuard(echohealth.Networks("10.0.0.0/8"))}, nil, nil},
		"a proxy":               {[]echohealth.Option{local}, []string{"x-forwarded-for", "127.0.0.1"}, nil},
		"a proxy by Forwarded":  {[]echohealth.Option{local}, []string{"forwarded", "for=127.0.0.1"}, nil},
		"both, without a token": {[]echohealth.Option{local, token}, nil, nil},
		"some public":           {[]echohealth.Option{echohealth.WithPublic(echohealth.Group("cart"))}, nil, []string{"cart"}},
		"nothing public":        {[]echohealth.Option{echohealth.WithPublic(echohealth.Startup)}, nil, nil},
		"public and guarded": {[]echohealth.Option{token, echohealth.WithPublic(echohealth.Ready, echohealth.Checks)},
			[]string{"authorization", "Bearer s3cret"}, []string{"database"}},
		"public, and refused": {[]echohealth.Option{token, echohealth.WithPublic(echohealth.Checks)}, nil, nil},
		"a guard that panics": {[]echohealth.Option{echohealth.WithGuard(echohealth.GuardFunc(func(*http.Request) bool { panic("no") }))}, nil, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			client, _ := serve(t, newHealth(t, append(test.options, checks...)...))
			ctx := metadata.AppendToOutgoingContext(t.Context(), test.metadata...)
			want := map[string]string{}
			for _, service := range append([]string{"", "liveness"}, test.want...) {
				want[service] = "SERVING"
			}
			assert.Equal(t, want, listed(t, ctx, client))
			for _, service := range []string{"", "liveness", "payment", "cart", "database", "nothing"} {
				_, shown := want[service]
				_, err := client.Check(ctx, request(service))
				if shown {
					assert.NoError(t, err)
					assert.Equal(t, serving, firstOfWatch(t, ctx, client, service))
					continue
				}
				assert.Equal(t, codes.NotFound, status.Code(err))
				assert.EqualError(t, err, "rpc error: code = NotFound desc = unknown service", "the same whether or not the service exists")
				assert.Equal(t, unknown, firstOfWatch(t, ctx, client, service))
			}
		})
	}
}

func firstOfWatch(t *testing.T, ctx context.Context, client grpc_health_v1.HealthClient, service string) serverStatus {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := client.Watch(ctx, request(service))
	require.NoError(t, err)
	response, err := stream.Recv()
	require.NoError(t, err)
	return response.GetStatus()
}

// A guard gets the HTTP request of the call.
func TestRequestOfAGuard(t *testing.T) {
	seen := make(chan *http.Request, 1)
	guard := echohealth.GuardFunc(func(r *http.Request) bool { seen <- r; return true })
	h := newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(well), echohealth.WithGuard(guard))

	certificates := httptest.NewTLSServer(http.NotFoundHandler())
	defer certificates.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	config := &tls.Config{Certificates: certificates.TLS.Certificates, NextProtos: []string{"h2"}}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(config)))
	grpc_health_v1.RegisterHealthServer(server, grpchealth.New(h))
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	roots := certificates.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots, ServerName: "example.com"})))
	require.NoError(t, err)
	defer connection.Close()
	client := grpc_health_v1.NewHealthClient(connection)
	ctx := metadata.AppendToOutgoingContext(t.Context(), "x-user", "a", "x-user", "b", "traceparent", "t")

	_, err = client.Check(ctx, request("database"))
	require.NoError(t, err)
	r := <-seen
	assert.Equal(t, "/grpc.health.v1.Health/Check", r.URL.Path)
	assert.Equal(t, http.MethodPost, r.Method)
	assert.Equal(t, 2, r.ProtoMajor)
	assert.Equal(t, "example.com", r.Host)
	assert.Equal(t, []string{"a", "b"}, r.Header["X-User"])
	assert.Equal(t, "t", r.Header.Get("Traceparent"))
	assert.Equal(t, "application/grpc", r.Header.Get("Content-Type"))
	assert.Regexp(t, `^127\.0\.0\.1:\d+$`, r.RemoteAddr)
	require.NotNil(t, r.TLS)
	assert.True(t, r.TLS.HandshakeComplete)
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	assert.Empty(t, body)

	listed(t, ctx, client)
	assert.Equal(t, "/grpc.health.v1.Health/List", (<-seen).URL.Path)
	firstOfWatch(t, ctx, client, "database")
	assert.Equal(t, "/grpc.health.v1.Health/Watch", (<-seen).URL.Path)
	_, err = client.Check(ctx, request(""))
	require.NoError(t, err)
	assert.Empty(t, seen, "no guard is called for readiness")
}

// A client on a Unix socket and a call without a connection have no address, so Networks refuses both.
func TestClientsWithoutAnAddress(t *testing.T) {
	h := newHealth(t, echohealth.WithoutSystemMetrics(), echohealth.WithDatabase(well), echohealth.WithGuard(echohealth.Networks("0.0.0.0/0", "::/0")))
	socket := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", socket)
	require.NoError(t, err)
	server := grpc.NewServer()
	s := grpchealth.New(h)
	grpc_health_v1.RegisterHealthServer(server, s)
	go func() { _ = server.Serve(listener) }()
	defer server.Stop()
	want := map[string]string{"": "SERVING", "database": "NotFound"}
	assert.Equal(t, want, words(t, connect(t, "unix:"+socket), "", "database"))

	_, err = s.Check(t.Context(), request("database"))
	assert.Equal(t, codes.NotFound, status.Code(err))
}
