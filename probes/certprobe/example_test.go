package certprobe_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http/httptest"
	"os"
	"time"

	"github.com/echo-probes/echohealth/probes/certprobe"
)

func Example() {
	server := httptest.NewTLSServer(nil) // the server's certificate is for example.com, until 2084
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	probe := certprobe.Server(server.Listener.Addr().String(), // echohealth.WithCheck("certificate", probe)
		certprobe.ServerName("example.com"), certprobe.RootCAs(roots))

	result := probe.Check(context.Background())
	fmt.Println(result.Status, result.Details)
	// Output: ok [not_after=3600000000 expires=2084-01-29]
}

func ExampleServer() {
	certprobe.Server("10.0.0.7:5671", certprobe.ServerName("rabbit.internal"), certprobe.WarnBefore(7*24*time.Hour))
}

// A service that ends TLS itself checks the certificate file that it reads.
func ExampleFile() {
	certprobe.File("/etc/tls/tls.crt")
}

// The probe also verifies the name and the chain of the file's certificate.
func ExampleRootCAs() {
	authorities, err := os.ReadFile("/etc/tls/ca.crt")
	if err != nil {
		return
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authorities)
	certprobe.File("/etc/tls/tls.crt", certprobe.RootCAs(roots), certprobe.ServerName("orders.example.com"))
}

// The probe checks the certificate that a client of the service gets if it requests this name.
func ExampleConfig() {
	config := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		certificate, err := tls.LoadX509KeyPair("/etc/tls/tls.crt", "/etc/tls/tls.key")
		return &certificate, err
	}}
	certprobe.Config(config, certprobe.ServerName("orders.example.com"))
}
