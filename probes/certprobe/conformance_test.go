package certprobe_test

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"testing"

	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/certprobe"
	"github.com/echo-probes/echohealth/probes/probetest"
)

func TestConformance(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for what hangs")
	}
	root := newAuthority(t, "Root", valid(-400*day, 400*day))
	leaf, expired := root.issue(t), root.issue(t, valid(-90*day, -day))
	var hung sync.RWMutex // locked while a server or a function hangs
	wait := func() {
		hung.RLock()
		defer hung.RUnlock()
	}
	serveAll := func(chain tls.Certificate) string {
		return listen(t, anyPort, func(conn net.Conn) {
			wait()
			server := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{chain}})
			if server.HandshakeContext(context.Background()) == nil {
				_, _ = server.Read(make([]byte, 1))
			}
		})
	}
	gets := func(chain tls.Certificate) *tls.Config {
		return &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			wait()
			return &chain, nil
		}}
	}
	well, ended := serveAll(leaf.with()), serveAll(expired.with())
	file := writeFile(t, append(leaf.keyPEM(t), toPEM(leaf.with())...))
	roots := certprobe.RootCAs(poolOf(root))
	tests := map[string]struct {
		probe func() *certprobe.Probe
		want  probes.Status
		hangs bool
	}{
		"of a server":         {func() *certprobe.Probe { return certprobe.Server(well, roots) }, probes.OK, true},
		"of an expired one":   {func() *certprobe.Probe { return certprobe.Server(ended, roots) }, probes.Error, true},
		"without authorities": {func() *certprobe.Probe { return certprobe.Server(well) }, probes.Error, true},
		"of a file":           {func() *certprobe.Probe { return certprobe.File(file) }, probes.OK, false},
		"of a missing file":   {func() *certprobe.Probe { return certprobe.File(file + "x") }, probes.Error, false},
		"of a configuration":  {func() *certprobe.Probe { return certprobe.Config(gets(leaf.with())) }, probes.OK, true},
		"that warns":          {func() *certprobe.Probe { return certprobe.File(file, certprobe.WarnBefore(200*day)) }, probes.Warning, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			options := probetest.Options{
				Want:    test.want,
				Secrets: []string{string(leaf.keyPEM(t)[30:60])},
				Hidden:  []string{"127.0.0.1", "orders", "Root", "tls.pem"},
				Ignore:  []string{"certprobe_test.listen"},
			}
			if test.hangs {
				options.Hang = func(t *testing.T) { hung.Lock(); t.Cleanup(hung.Unlock) }
			}
			probetest.Run(t, func(*testing.T) probes.Probe { return test.probe() }, options)
		})
	}
}
