package certprobe_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/certprobe"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A judgement is a test case for a chain of certificates, which a server, a file or a configuration may show.
type judgement struct {
	chain  tls.Certificate
	end    time.Time // the first expiry, which determines the result
	roots  *x509.CertPool
	name   string
	reason probes.Reason
	text   string // part of the error
}

func judgements(t *testing.T) map[string]judgement {
	root := newAuthority(t, "Root", valid(-400*day, 3650*day))
	issuer := root.intermediate(t, "Issuer", valid(-300*day, 1000*day))
	leaf := issuer.issue(t)
	roots := poolOf(root)
	expired := issuer.issue(t, valid(-90*day, -2*day))
	soon := issuer.issue(t, valid(-80*day, 20*day))
	later := issuer.issue(t, valid(time.Hour, 90*day))
	oldIssuer := root.intermediate(t, "Old issuer", valid(-100*day, -time.Minute))
	soonIssuer := root.intermediate(t, "Issuer that ends", valid(-100*day, 10*day))
	laterIssuer := root.intermediate(t, "Issuer to come", valid(day, 100*day))
	oldRoot := newAuthority(t, "Old root", valid(-100*day, -day))
	other := newAuthority(t, "Other")
	namesake := newAuthority(t, "Issuer")
	rekeyed := root.intermediate(t, "Issuer")
	direct := root.issue(t)
	self := issue(t, issued{})
	byOld, bySoon, byLater := oldIssuer.issue(t), soonIssuer.issue(t), laterIssuer.issue(t)
	byOldRoot := oldRoot.issue(t)

	const unverified = "is neither in the chain nor trusted"
	return map[string]judgement{
		"well":                      {leaf.with(issuer), leaf.NotAfter, roots, "localhost", "", ""},
		"with the root":             {leaf.with(issuer, root), leaf.NotAfter, roots, "localhost", "", ""},
		"in another order":          {leaf.with(root, issuer), leaf.NotAfter, roots, "localhost", "", ""},
		"issued directly":           {direct.with(), direct.NotAfter, roots, "localhost", "", ""},
		"an address":                {leaf.with(issuer), leaf.NotAfter, roots, "127.0.0.1", "", ""},
		"self-signed and trusted":   {self.with(), self.NotAfter, poolOf(self), "localhost", "", ""},
		"expired":                   {expired.with(issuer), expired.NotAfter, roots, "localhost", "certificate_expired", `the certificate "orders" expired 2 days ago, at `},
		"soon":                      {soon.with(issuer), soon.NotAfter, roots, "localhost", "certificate_expires_soon", `the certificate "orders" expires in 19 days, at `},
		"not yet":                   {later.with(issuer), later.NotAfter, roots, "localhost", "certificate_not_yet_valid", `the certificate "orders" is not valid before `},
		"an expired issuer":         {byOld.with(oldIssuer), oldIssuer.NotAfter, roots, "localhost", "certificate_expired", `the certificate "Old issuer" expired 1m`},
		"an issuer that ends":       {bySoon.with(soonIssuer), soonIssuer.NotAfter, roots, "localhost", "certificate_expires_soon", `the certificate "Issuer that ends" expires in 9 days`},
		"an issuer to come":         {byLater.with(laterIssuer), laterIssuer.NotAfter, roots, "localhost", "certificate_not_yet_valid", `the certificate "Issuer to come" is not valid`},
		"an expired root":           {byOldRoot.with(), oldRoot.NotAfter, poolOf(oldRoot), "localhost", "certificate_expired", `the certificate "Old root" expired`},
		"another name":              {leaf.with(issuer), leaf.NotAfter, roots, "orders.example", "certificate_wrong_name", "localhost, not orders.example"},
		"another address":           {leaf.with(issuer), leaf.NotAfter, roots, "127.0.0.2", "certificate_wrong_name", "127.0.0.2"},
		"an incomplete chain":       {leaf.with(), leaf.NotAfter, roots, "localhost", "incomplete_chain", `the issuer of the certificate "orders", "CN=Issuer", ` + unverified},
		"another issuer is shown":   {leaf.with(soonIssuer), leaf.NotAfter, roots, "localhost", "incomplete_chain", unverified},
		"another authority":         {leaf.with(issuer), leaf.NotAfter, poolOf(other), "localhost", "unknown_authority", `the issuer of the certificate "Issuer", "CN=Root", ` + unverified},
		"the root is shown":         {leaf.with(issuer, root), leaf.NotAfter, poolOf(other), "localhost", "unknown_authority", `the certificate "Root" is not trusted`},
		"an authority of that name": {leaf.with(), leaf.NotAfter, poolOf(namesake), "localhost", "unknown_authority", "candidate authority"},
		"self-signed":               {self.with(), self.NotAfter, roots, "localhost", "unknown_authority", `the certificate "orders" is not trusted`},
		"expired and another name":  {expired.with(issuer), expired.NotAfter, roots, "orders.example", "certificate_expired", "not orders.example"},
		"expired and not trusted":   {expired.with(issuer), expired.NotAfter, poolOf(other), "localhost", "certificate_expired", unverified},
		"soon, and incomplete":      {soon.with(), soon.NotAfter, roots, "localhost", "incomplete_chain", "expires in 19 days"},
		"an old issuer and no root": {byOld.with(oldIssuer), oldIssuer.NotAfter, poolOf(other), "localhost", "certificate_expired", unverified},
		"never valid at one time":   {issue(t, oldIssuer, valid(day, 2*day)).with(oldIssuer), oldIssuer.NotAfter, roots, "localhost", "certificate_expired", "is not valid before"},
		"an expired one not in use": {leaf.with(issuer, oldIssuer), leaf.NotAfter, roots, "localhost", "", ""},
		"another key of the issuer": {leaf.with(rekeyed), leaf.NotAfter, roots, "localhost", "incomplete_chain", unverified},
	}
}

func (j judgement) holds(t *testing.T, probe *certprobe.Probe) {
	t.Helper()
	result, reason := check(t, probe)
	assert.Equal(t, j.reason, reason, "%v", result.Err)
	assert.Equal(t, until(j.end), result.Details)
	switch j.reason {
	case "":
		assert.Equal(t, probes.OK, result.Status)
		assert.NoError(t, result.Err)
		return
	case "certificate_expires_soon":
		assert.Equal(t, probes.Warning, result.Status)
	default:
		assert.Equal(t, probes.Error, result.Status)
	}
	assert.ErrorContains(t, result.Err, j.text)
}

func TestJudgements(t *testing.T) {
	for name, test := range judgements(t) {
		t.Run(name, func(t *testing.T) {
			opts := []certprobe.Option{certprobe.RootCAs(test.roots), certprobe.ServerName(test.name)}
			address := serve(t, anyPort, &tls.Config{Certificates: []tls.Certificate{test.chain}})
			t.Run("server", func(t *testing.T) { test.holds(t, certprobe.Server(address, opts...)) })
			t.Run("file", func(t *testing.T) { test.holds(t, certprobe.File(writeFile(t, toPEM(test.chain)), opts...)) })
			t.Run("config", func(t *testing.T) {
				test.holds(t, certprobe.Config(&tls.Config{Certificates: []tls.Certificate{test.chain}}, opts...))
			})
		})
	}
}

// Without RootCAs, a probe of a server trusts the system's authorities. A certificate of a public authority
// contains the address of its issuer's certificate.
func TestSystemRootCertificates(t *testing.T) {
	root := newAuthority(t, "Root")
	issuer := root.intermediate(t, "Issuer")
	tests := map[string]struct {
		chain tls.Certificate
		want  probes.Reason
	}{
		"a private authority":         {root.issue(t).with(), "unknown_authority"},
		"with its root":               {root.issue(t).with(root), "unknown_authority"},
		"with an intermediate":        {issuer.issue(t).with(issuer), "unknown_authority"},
		"a public one, incomplete":    {issuer.issue(t, public).with(), "incomplete_chain"},
		"a public one, complete":      {issuer.issue(t, public).with(issuer), "unknown_authority"},
		"with another intermediate":   {root.issue(t).with(issuer), "incomplete_chain"},
		"self-signed":                 {issue(t, issued{}, public).with(), "unknown_authority"},
		"self-signed, with something": {issue(t, issued{}).with(root), "unknown_authority"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			result, reason := check(t, certprobe.Server(serve(t, anyPort, &tls.Config{Certificates: []tls.Certificate{test.chain}})))
			assert.Equal(t, test.want, reason, "%v", result.Err)
		})
	}
}

// A certificate that is only for clients is not valid for a server.
func TestUsage(t *testing.T) {
	root := newAuthority(t, "Root")
	chain := root.issue(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }).with()
	config := &tls.Config{Certificates: []tls.Certificate{chain}}
	result, reason := check(t, certprobe.Server(serve(t, anyPort, config), certprobe.RootCAs(poolOf(root))))
	assert.EqualValues(t, "tls_error", reason, "%v", result.Err)
	_, reason = check(t, certprobe.Config(config, certprobe.RootCAs(poolOf(root))))
	assert.Empty(t, reason)
}

// If two chains lead to trusted authorities, the one that lasts longer counts.
func TestCrossSigned(t *testing.T) {
	oldRoot, newRoot := newAuthority(t, "Old root", valid(-400*day, 5*day)), newAuthority(t, "New root", valid(-day, 900*day))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	byOld := issueTo(t, oldRoot, key, authority("Issuer"), valid(-300*day, 4*day))
	byNew := issueTo(t, newRoot, key, authority("Issuer"), valid(-day, 800*day))
	leaf := byNew.issue(t)
	address := serve(t, anyPort, &tls.Config{Certificates: []tls.Certificate{leaf.with(byOld, byNew)}})

	judgement{end: leaf.NotAfter}.holds(t, certprobe.Server(address, certprobe.RootCAs(poolOf(oldRoot, newRoot))))
	judgement{end: byOld.NotAfter, reason: "certificate_expires_soon", text: `"Issuer" expires in 3 days`}.
		holds(t, certprobe.Server(address, certprobe.RootCAs(poolOf(oldRoot))))
}

// The warning begins at the exact time, which depends on the certificate's lifetime.
func TestWarnBefore(t *testing.T) {
	tests := map[string]struct {
		lifetime time.Duration
		opts     []certprobe.Option
		warning  time.Duration // time before the end; 0: never
	}{
		"a year":         {365 * day, nil, 21 * day},
		"90 days":        {90 * day, nil, 21 * day},
		"84 days":        {84 * day, nil, 21 * day},
		"47 days":        {48 * day, nil, 12 * day},
		"a day":          {day, nil, 6 * time.Hour},
		"set":            {90 * day, []certprobe.Option{certprobe.WarnBefore(day), certprobe.WarnBefore(30 * day)}, 30 * day},
		"set, and short": {day, []certprobe.Option{certprobe.WarnBefore(20 * time.Hour)}, 20 * time.Hour},
		"off":            {90 * day, []certprobe.Option{certprobe.WarnBefore(0)}, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				leaf := issue(t, issued{}, valid(0, test.lifetime))
				probe := certprobe.Config(&tls.Config{Certificates: []tls.Certificate{leaf.with()}}, test.opts...)
				at := func(beforeTheEnd time.Duration) probes.Reason {
					time.Sleep(time.Until(leaf.NotAfter) - beforeTheEnd)
					_, reason := check(t, probe)
					return reason
				}
				if test.warning > 0 {
					assert.Empty(t, at(test.warning))
					assert.EqualValues(t, "certificate_expires_soon", at(test.warning-time.Second))
					assert.EqualValues(t, "certificate_expires_soon", at(0))
				} else {
					assert.Empty(t, at(0))
				}
				assert.EqualValues(t, "certificate_expired", at(-time.Second))
			})
		})
	}
}

// An error's text has a name of the certificate, but not a long one.
func TestTheTextNamesTheCertificate(t *testing.T) {
	tests := map[string]change{
		`the certificate "orders" expired`:                                 func(*x509.Certificate) {},
		`the certificate "a.example" expired`:                              func(c *x509.Certificate) { c.Subject, c.DNSNames = pkix.Name{}, []string{"a.example", "b.example"} },
		`the certificate with the serial number 2a expired`:                func(c *x509.Certificate) { c.Subject, c.DNSNames, c.SerialNumber = pkix.Name{}, nil, big.NewInt(42) },
		`the certificate "` + strings.Repeat("x", 64) + `" expired 2 days`: func(c *x509.Certificate) { c.Subject.CommonName = strings.Repeat("x", 1000) },
	}
	for want, change := range tests {
		leaf := issue(t, issued{}, valid(-90*day, -2*day-time.Hour), change)
		result, _ := check(t, certprobe.File(writeFile(t, toPEM(leaf.with()))))
		assert.ErrorContains(t, result.Err, want)
	}
}

func TestDefaults(t *testing.T) {
	want := probes.Defaults{FreshFor: time.Hour, RetryAfter: time.Minute, Optional: true}
	assert.Equal(t, want, certprobe.Server("localhost:443").Defaults())
	assert.Equal(t, want, certprobe.File("/tls.crt").Defaults())
}
