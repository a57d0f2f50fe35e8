package certprobe_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/probes"
	"github.com/echo-probes/echohealth/probes/certprobe"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// By default the probe checks only the times of all certificates.
func TestFile(t *testing.T) {
	root := newAuthority(t, "Root", valid(-400*day, 900*day))
	issuer := root.intermediate(t, "Issuer", valid(-400*day, 50*day))
	leaf := issuer.issue(t)
	expired := root.issue(t, valid(-90*day, -day))
	soon := newAuthority(t, "Root that ends", valid(-900*day, 10*day))
	chain := toPEM(leaf.with(issuer))
	tests := map[string]struct {
		text []byte
		want judgement
	}{
		"one":                       {toPEM(leaf.with()), judgement{end: leaf.NotAfter}},
		"a chain":                   {chain, judgement{end: issuer.NotAfter}},
		"with the key":              {append(leaf.keyPEM(t), chain...), judgement{end: issuer.NotAfter}},
		"with the key at the end":   {append(bytes.Clone(chain), leaf.keyPEM(t)...), judgement{end: issuer.NotAfter}},
		"with words":                {append([]byte("subject=CN = orders\n"), chain...), judgement{end: issuer.NotAfter}},
		"with the lines of Windows": {bytes.ReplaceAll(chain, []byte("\n"), []byte("\r\n")), judgement{end: issuer.NotAfter}},
		"DER":                       {leaf.Raw, judgement{end: leaf.NotAfter}},
		"DER, several":              {append(bytes.Clone(leaf.Raw), issuer.Raw...), judgement{end: issuer.NotAfter}},
		"a bundle":                  {toPEM(root.with(soon)), judgement{end: soon.NotAfter, reason: "certificate_expires_soon", text: `"Root that ends"`}},
		"an expired one in it":      {toPEM(root.with(soon, expired)), judgement{end: expired.NotAfter, reason: "certificate_expired", text: `"orders" expired`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test.want.holds(t, certprobe.File(writeFile(t, test.text))) })
	}
}

func TestInvalidFile(t *testing.T) {
	leaf := issue(t, issued{})
	good := toPEM(leaf.with())
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	if output, err := exec.Command("mkfifo", pipe).CombinedOutput(); err != nil {
		t.Logf("%v: %s", err, output)
		pipe = dir
	}
	tests := map[string]struct {
		path string
		want probes.Reason
		text string
	}{
		"missing":           {filepath.Join(dir, "none"), "not_found", "no such file"},
		"a directory":       {dir, "misconfigured", "it must be a regular file"},
		"a pipe":            {pipe, "misconfigured", "it must be a regular file"},
		"a device":          {"/dev/zero", "misconfigured", "it must be a regular file"},
		"empty":             {writeFile(t, nil), "misconfigured", "there is no certificate in PEM or DER in the file"},
		"noise":             {writeFile(t, []byte("noise")), "misconfigured", "there is no certificate in PEM or DER in the file"},
		"a key":             {writeFile(t, leaf.keyPEM(t)), "misconfigured", "there is no certificate in the file"},
		"cut":               {writeFile(t, good[:len(good)/2]), "misconfigured", "1 of 1 certificates are not valid PEM"},
		"cut in the second": {writeFile(t, append(bytes.Clone(good), good[:len(good)-20]...)), "misconfigured", "1 of 2 certificates are not valid PEM"},
		"not a certificate": {writeFile(t, bytes.ReplaceAll(leaf.keyPEM(t), []byte("PRIVATE KEY"), []byte("CERTIFICATE"))), "misconfigured", "x509: "},
		"5 MB":              {writeFile(t, bytes.Repeat(good, 5<<20/len(good))), "misconfigured", "it must have at most 4 MB"},
		"cut in DER":        {writeFile(t, leaf.Raw[:100]), "misconfigured", "there is no certificate in PEM or DER in the file"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			result, reason := check(t, certprobe.File(test.path))
			assert.Equal(t, probes.Error, result.Status)
			assert.Equal(t, test.want, reason)
			assert.ErrorContains(t, result.Err, test.text)
			assert.ErrorContains(t, result.Err, test.path)
			assert.Empty(t, result.Details)
		})
	}
}

// The next check sees a renewed file, whether it is overwritten, replaced, or behind changed links as in a
// Kubernetes secret.
func TestFileRenews(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tls.crt")
	probe := certprobe.File(path)
	_, reason := check(t, probe)
	assert.Equal(t, probes.ReasonNotFound, reason)

	renew := func(lasts time.Duration, put func(text []byte)) {
		t.Helper()
		leaf := issue(t, issued{}, valid(-10*day, lasts))
		put(toPEM(leaf.with()))
		want := judgement{end: leaf.NotAfter}
		switch {
		case lasts < 0:
			want.reason, want.text = probes.ReasonCertificateExpired, "expired"
		case lasts < 2*day:
			want.reason, want.text = probes.ReasonCertificateExpiresSoon, "expires in"
		}
		want.holds(t, probe)
	}
	write := func(path string, text []byte) { require.NoError(t, os.WriteFile(path, text, 0o600)) }
	renew(day, func(text []byte) { write(path, text) })
	renew(-day, func(text []byte) { write(path, text) })
	renew(90*day, func(text []byte) {
		write(path+".new", text)
		require.NoError(t, os.Rename(path+".new", path))
	})
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.Symlink("..data/tls.crt", path))
	for version, lasts := range map[string]time.Duration{"..1": 80 * day, "..2": day} {
		renew(lasts, func(text []byte) {
			require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o700))
			write(filepath.Join(dir, version, "tls.crt"), text)
			require.NoError(t, os.Symlink(version, filepath.Join(dir, "..new")))
			require.NoError(t, os.Rename(filepath.Join(dir, "..new"), filepath.Join(dir, "..data")))
		})
	}
}
