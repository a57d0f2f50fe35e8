package certprobe

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// verifyChain returns the certificates whose times decide, and the problem of the chain apart from the times.
func (p *Probe) verifyChain(shown []*x509.Certificate, now time.Time) ([]*x509.Certificate, []problem) {
	if !p.verify {
		return shown, nil
	}
	verified, err := p.verifyAt(shown, now)
	if err == nil {
		return longestLasting(verified), nil
	}
	deciding := path(shown)
	if expired := expiredOf(err); expired != nil && !slices.ContainsFunc(deciding, expired.Equal) {
		deciding = append(deciding, expired) // an authority, which the server need not show
	}
	if !validAt(deciding, now) { // without the times, what is wrong with the chain?
		at := latestBeginning(deciding)
		if !validAt(deciding, at) {
			return deciding, nil // no time is good for all of them
		}
		_, err = p.verifyAt(shown, at)
	}
	if err == nil || expiredOf(err) != nil {
		return deciding, nil
	}
	return deciding, []problem{p.chainProblem(err, shown)}
}

// verifyAt returns the chains that are valid at this time.
func (p *Probe) verifyAt(shown []*x509.Certificate, at time.Time) ([][]*x509.Certificate, error) {
	intermediates := x509.NewCertPool()
	for _, certificate := range shown[1:] {
		intermediates.AddCert(certificate)
	}
	return shown[0].Verify(x509.VerifyOptions{
		Roots: p.roots, Intermediates: intermediates, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{p.usage},
	})
}

// expiredOf returns the certificate that is not valid at the time of the verification, if err says so.
func expiredOf(err error) *x509.Certificate {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	if !ok || invalid.Reason != x509.Expired {
		return nil
	}
	return invalid.Cert
}

// chainProblem names why a chain is refused.
func (p *Probe) chainProblem(err error, shown []*x509.Certificate) problem {
	_, unknown := errors.AsType[x509.UnknownAuthorityError](err)
	_, none := errors.AsType[x509.SystemRootsError](err)
	if !unknown && !none {
		return problem{probes.ReasonTLSError, err}
	}
	known := path(shown)
	last := known[len(known)-1]
	if isSelfIssued(last) {
		return problem{probes.ReasonUnknownAuthority, fmt.Errorf("%s is not trusted: %w", describe(last), err)}
	}
	reason := probes.ReasonUnknownAuthority
	if len(known) == 1 && p.lacksIssuer(shown, err) {
		reason = probes.ReasonIncompleteChain
	}
	return problem{reason, fmt.Errorf("the issuer of %s, %.200q, is neither in the chain nor trusted: %w",
		describe(last), last.Issuer.String(), err)}
}

// lacksIssuer reports whether a server whose own certificate is of an unknown issuer should have shown that
// one. An authority could have issued it directly. But public authorities don't, and they write the address
// of the issuer's certificate into each certificate. If RootCAs names the authorities, the issuer must be one
// of them.
func (p *Probe) lacksIssuer(shown []*x509.Certificate, err error) bool {
	if len(shown) > 1 || len(shown[0].IssuingCertificateURL) > 0 {
		return true
	}
	// An authority may have the issuer's name, and another key. The error has nothing but a text that says so.
	return p.roots != nil && !strings.Contains(err.Error(), "candidate authority")
}

// maxPath is how many of the shown certificates path looks at, which bounds how many signatures it verifies.
const maxPath = 32

// path returns the leaf, its issuer, the issuer of that, and so on, as far as they are shown.
func path(shown []*x509.Certificate) []*x509.Certificate {
	found, rest := shown[:1:1], slices.Clone(shown[1:min(len(shown), maxPath)])
	for {
		last := found[len(found)-1]
		i := slices.IndexFunc(rest, func(c *x509.Certificate) bool {
			return bytes.Equal(c.RawSubject, last.RawIssuer) && last.CheckSignatureFrom(c) == nil
		})
		if i < 0 || isSelfIssued(last) {
			return found
		}
		found = append(found, rest[i])
		rest = slices.Delete(rest, i, i+1)
	}
}

// isSelfIssued reports whether c is an authority's own certificate, or a self-signed one.
func isSelfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

// longestLasting returns the chain that expires last.
func longestLasting(chains [][]*x509.Certificate) []*x509.Certificate {
	return slices.MaxFunc(chains, func(a, b []*x509.Certificate) int {
		return earliestEnd(a).Compare(earliestEnd(b))
	})
}

// earliestEnd returns when the first of these certificates expires.
func earliestEnd(certificates []*x509.Certificate) time.Time {
	end := certificates[0].NotAfter
	for _, c := range certificates[1:] {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end
}

// latestBeginning returns when the last of these certificates becomes valid.
func latestBeginning(certificates []*x509.Certificate) time.Time {
	beginning := certificates[0].NotBefore
	for _, c := range certificates[1:] {
		if c.NotBefore.After(beginning) {
			beginning = c.NotBefore
		}
	}
	return beginning
}

func validAt(certificates []*x509.Certificate, at time.Time) bool {
	return !slices.ContainsFunc(certificates, func(c *x509.Certificate) bool {
		return at.Before(c.NotBefore) || at.After(c.NotAfter)
	})
}
