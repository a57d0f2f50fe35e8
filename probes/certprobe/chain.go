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

// verifyChain verifies the chain. It returns the certificates whose times count, and a problem of the chain
// itself, such as an unknown authority. It returns no problem of the times, which judgeTimes finds.
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
		deciding = append(deciding, expired) // for example an authority, which the server need not show
	}
	if !validAt(deciding, now) { // verify the chain for a time at which all are valid, to find other problems
		at := latestBeginning(deciding)
		if !validAt(deciding, at) {
			return deciding, nil // there is no time at which all are valid
		}
		_, err = p.verifyAt(shown, at)
	}
	if err == nil || expiredOf(err) != nil {
		return deciding, nil
	}
	return deciding, []problem{p.chainProblem(err, shown)}
}

// verifyAt returns the chains that are valid at the time at.
func (p *Probe) verifyAt(shown []*x509.Certificate, at time.Time) ([][]*x509.Certificate, error) {
	intermediates := x509.NewCertPool()
	for _, certificate := range shown[1:] {
		intermediates.AddCert(certificate)
	}
	return shown[0].Verify(x509.VerifyOptions{
		Roots: p.roots, Intermediates: intermediates, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{p.usage},
	})
}

// expiredOf returns the certificate that err reports as expired or not valid yet. It returns nil for any
// other error.
func expiredOf(err error) *x509.Certificate {
	invalid, ok := errors.AsType[x509.CertificateInvalidError](err)
	if !ok || invalid.Reason != x509.Expired {
		return nil
	}
	return invalid.Cert
}

// chainProblem returns the problem of a chain that Verify has refused with err.
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

// lacksIssuer reports whether a server that does not show the issuer of its certificate should show it. An
// unknown root authority could have issued the certificate directly, and need not be shown. But public
// authorities don't do this, and they write the address of the issuer's certificate into each certificate. If
// RootCAs names the authorities, a direct issuer would be one of them.
func (p *Probe) lacksIssuer(shown []*x509.Certificate, err error) bool {
	if len(shown) > 1 || len(shown[0].IssuingCertificateURL) > 0 {
		return true
	}
	// A known authority may have the issuer's name but another key. Only the text of the error shows this case.
	return p.roots != nil && !strings.Contains(err.Error(), "candidate authority")
}

// maxPath is how many of the shown certificates path uses. It bounds how many signatures path verifies.
const maxPath = 32

// path returns the leaf, its issuer, the issuer's issuer, and so on, as far as they are shown.
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

// isSelfIssued reports whether c names itself as its issuer. Certificates of root authorities and self-signed
// certificates do.
func isSelfIssued(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, c.RawIssuer) }

// longestLasting returns the chain whose first expiry is the latest.
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
