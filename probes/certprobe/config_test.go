package certprobe_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth/internal/reason"
	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/certprobe"
	"github.com/stretchr/testify/assert"
)

// gets is the type of GetCertificate.
type gets func(*tls.ClientHelloInfo) (*tls.Certificate, error)

// The configuration chooses the certificate as it does for a client.
func TestConfigChooses(t *testing.T) {
	root := newAuthority(t, "Root")
	orders := root.issue(t, named("orders.example"), valid(-day, 90*day))
	mail := root.issue(t, named("mail.example"), valid(-day, 60*day))
	wild := root.issue(t, named("*.wild.example"), valid(-day, 70*day))
	all := []tls.Certificate{orders.with(), mail.with(), wild.with()}
	get := func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		switch hello.ServerName {
		case "mail.example":
			return &all[1], nil
		case "none.example":
			return nil, nil
		}
		return &all[0], nil
	}
	other := &tls.Config{Certificates: all[1:2]}
	byName := &tls.Config{Certificates: all}
	//lint:ignore SA1019 it is deprecated, and still in use
	byName.BuildNameToCertificate()
	forClient := &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return other, nil }}
	wrong := judgement{end: orders.NotAfter, reason: "certificate_wrong_name", text: "x.example"}
	tests := map[string]struct {
		config *tls.Config
		name   string
		want   judgement
	}{
		"the first that ends":      {&tls.Config{Certificates: all}, "", judgement{end: mail.NotAfter}},
		"by name":                  {&tls.Config{Certificates: all}, "orders.example", judgement{end: orders.NotAfter}},
		"by another name":          {&tls.Config{Certificates: all}, "a.wild.example", judgement{end: wild.NotAfter}},
		"for another name":         {&tls.Config{Certificates: all}, "x.example", wrong},
		"NameToCertificate":        {byName, "mail.example", judgement{end: mail.NotAfter}},
		"NameToCertificate, wild":  {byName, "b.wild.example", judgement{end: wild.NotAfter}},
		"GetCertificate":           {&tls.Config{GetCertificate: get}, "", judgement{end: orders.NotAfter}},
		"GetCertificate by name":   {&tls.Config{GetCertificate: get}, "mail.example", judgement{end: mail.NotAfter}},
		"GetCertificate, or else":  {&tls.Config{GetCertificate: get, Certificates: all}, "mail.example", judgement{end: mail.NotAfter}},
		"GetConfigForClient":       {forClient, "", judgement{end: mail.NotAfter}},
		"GetConfigForClient, name": {forClient, "mail.example", judgement{end: mail.NotAfter}},
		"TLS 1.2":                  {&tls.Config{Certificates: all, MaxVersion: tls.VersionTLS12}, "mail.example", judgement{end: mail.NotAfter}},
		"with ALPN":                {&tls.Config{Certificates: all, NextProtos: []string{"h2"}}, "mail.example", judgement{end: mail.NotAfter}},
		"client certificates": {
			&tls.Config{Certificates: all, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: poolOf(root)},
			"mail.example", judgement{end: mail.NotAfter},
		},
		"client certificates, TLS 1.2": {
			&tls.Config{Certificates: all, ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12},
			"mail.example", judgement{end: mail.NotAfter},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var opts []certprobe.Option
			if test.name != "" {
				opts = append(opts, certprobe.ServerName(test.name))
			}
			test.want.holds(t, certprobe.Config(test.config, opts...))
		})
	}
}

// A function of the configuration gets the same ClientHelloInfo as from a client.
func TestConfigsClient(t *testing.T) {
	chain := issue(t, issued{}).with()
	var calls int
	get := func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		calls++
		assert.Equal(t, "localhost", hello.ServerName)
		assert.NoError(t, hello.SupportsCertificate(&chain))
		deadline, ok := hello.Context().Deadline()
		assert.True(t, ok)
		assert.LessOrEqual(t, time.Until(deadline), 10*time.Second)
		assert.True(t, hello.Conn.RemoteAddr().(*net.TCPAddr).IP.IsLoopback())
		assert.True(t, hello.Conn.LocalAddr().(*net.TCPAddr).IP.IsLoopback())
		assert.NoError(t, hello.Conn.SetDeadline(time.Now().Add(time.Hour)))
		assert.NoError(t, hello.Conn.SetReadDeadline(time.Time{}))
		assert.NoError(t, hello.Conn.SetWriteDeadline(time.Time{}))
		return &chain, nil
	}
	_, reason := check(t, certprobe.Config(&tls.Config{GetCertificate: get}, certprobe.ServerName("localhost")))
	assert.Empty(t, reason)
	assert.Equal(t, 1, calls)
}

func TestConfigFails(t *testing.T) {
	leaf := issue(t, issued{})
	chain, noise := leaf.with(), tls.Certificate{Certificate: [][]byte{[]byte("noise")}, PrivateKey: leaf.key}
	static := func(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }
	tests := map[string]struct {
		config *tls.Config
		want   probes.Reason
		text   string
	}{
		"an error":       {&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, errors.New("no account") }}, "tls_error", "no account"},
		"a known error":  {&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, fs.ErrNotExist }}, "not_found", "not exist"},
		"no certificate": {&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }}, "tls_error", "no certificates configured"},
		"no key": {&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return &tls.Certificate{Certificate: chain.Certificate}, nil
		}}, "tls_error", "private key"},
		"a panic":                     {&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { panic("a bug") }}, "panic", "panic: a bug\ngoroutine "},
		"an exit":                     {&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { runtime.Goexit(); return nil, nil }}, "tls_error", "a function of the tls.Config called runtime.Goexit"},
		"GetConfigForClient fails":    {&tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New("no tenant") }}, "tls_error", "no tenant"},
		"GetConfigForClient panics":   {&tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { panic("a bug") }}, "panic", "panic: a bug"},
		"GetConfigForClient has none": {&tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return &tls.Config{}, nil }}, "tls_error", "no certificates configured"},
		"noise":                       {static(noise), "misconfigured", "the tls.Config's Certificates[0]: x509: malformed certificate"},
		"nothing":                     {static(tls.Certificate{}), "misconfigured", "Certificates[0]: there is no certificate"},
		"noise from GetCertificate":   {&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &noise, nil }}, "tls_error", "failed to parse certificate from server"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			result, reason := check(t, certprobe.Config(test.config))
			assert.Equal(t, probes.Error, result.Status)
			assert.Equal(t, test.want, reason)
			assert.ErrorContains(t, result.Err, test.text)
			assert.Empty(t, result.Details)
			assert.Less(t, time.Since(start), 5*time.Second, "the two ends wait for each other")
		})
	}
}

// A function that has not returned is not called again. The check ends with its context, or after 10 s.
func TestConfigHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		chain := issue(t, issued{}).with()
		release := make(chan struct{})
		var calls atomic.Int64
		probe := certprobe.Config(&tls.Config{GetCertificate: gets(func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			calls.Add(1)
			<-release
			return &chain, nil
		})})
		checkFor := func(limit, want time.Duration, text string) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			start := time.Now()
			result := probe.Check(ctx)
			assert.Equal(t, want, time.Since(start))
			assert.Equal(t, probes.ReasonTimeout, reason.Of(result.Err))
			assert.ErrorContains(t, result.Err, text)
		}
		checkFor(time.Second, time.Second, "a function of the tls.Config has not returned: ")
		checkFor(time.Second, time.Second, "a function of the tls.Config has not returned since an earlier check: ")
		checkFor(time.Hour, 10*time.Second, "since an earlier check")
		assert.EqualValues(t, 1, calls.Load())
		close(release)
		synctest.Wait()
		_, reason := check(t, probe)
		assert.Empty(t, reason)
		assert.EqualValues(t, 2, calls.Load())
	})
}

// The next check sees a new certificate of GetCertificate.
func TestConfigRenews(t *testing.T) {
	var chain tls.Certificate
	probe := certprobe.Config(&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &chain, nil }})
	for _, lasts := range []time.Duration{90 * day, 80 * day} {
		leaf := issue(t, issued{}, valid(-day, lasts))
		chain = leaf.with()
		judgement{end: leaf.NotAfter}.holds(t, probe)
	}
}
