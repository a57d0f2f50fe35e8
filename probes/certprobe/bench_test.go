package certprobe_test

import (
	"crypto/tls"
	"testing"

	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/certprobe"
)

func BenchmarkCheck(b *testing.B) {
	root := newAuthority(b, "Root", valid(-400*day, 900*day))
	issuer := root.intermediate(b, "Issuer", valid(-300*day, 800*day))
	chain := issuer.issue(b).with(issuer)
	config := &tls.Config{Certificates: []tls.Certificate{chain}}
	roots, name := certprobe.RootCAs(poolOf(root)), certprobe.ServerName("localhost")
	for name, probe := range map[string]*certprobe.Probe{
		"server":                        certprobe.Server(serve(b, anyPort, config), roots),
		"file":                          certprobe.File(writeFile(b, toPEM(chain))),
		"config":                        certprobe.Config(config),
		"config by name, and the chain": certprobe.Config(config, name, roots),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if result := probe.Check(b.Context()); result.Status != probes.OK {
					b.Fatal(result.Err)
				}
			}
		})
	}
}
