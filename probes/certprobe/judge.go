package certprobe

import (
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/echo-probes/echohealth/probes"
)

// problem is a fault of a certificate or of a chain.
type problem struct {
	reason probes.Reason
	err    error
}

// order lists the reasons of problems, the worst first.
var order = []probes.Reason{
	probes.ReasonCertificateExpired, probes.ReasonCertificateNotYetValid, probes.ReasonCertificateWrongName,
	probes.ReasonIncompleteChain, probes.ReasonUnknownAuthority, probes.ReasonTLSError,
	probes.ReasonCertificateExpiresSoon,
}

// judge returns the result for the chains at the time now.
func (p *Probe) judge(chains [][]*x509.Certificate, now time.Time) probes.Result {
	var problems []problem
	var notAfter time.Time
	for i, shown := range chains {
		deciding, found := p.verifyChain(shown, now)
		if end := earliestEnd(deciding); i == 0 || end.Before(notAfter) {
			notAfter = end
		}
		problems = slices.Concat(problems, p.judgeTimes(deciding, now), p.judgeName(shown[0]), found)
	}
	result := resultOf(problems)
	result.Details = []slog.Attr{
		slog.Int64("not_after", notAfter.Unix()),
		slog.String("expires", notAfter.UTC().Format(time.DateOnly)),
	}
	return result
}

// resultOf returns a result without details. Its reason is the worst of the problems, and its error contains
// all of them.
func resultOf(problems []problem) probes.Result {
	if len(problems) == 0 {
		return probes.Result{Status: probes.OK}
	}
	slices.SortStableFunc(problems, func(a, b problem) int {
		return slices.Index(order, a.reason) - slices.Index(order, b.reason)
	})
	errs := make([]error, len(problems))
	for i, problem := range problems {
		errs[i] = problem.err
	}
	result := probes.Result{Status: probes.Error, Reason: problems[0].reason, Err: errors.Join(errs...)}
	if result.Reason == probes.ReasonCertificateExpiresSoon {
		result.Status = probes.Warning
	}
	return result
}

func (p *Probe) judgeName(leaf *x509.Certificate) []problem {
	if p.name == "" {
		return nil
	}
	if err := leaf.VerifyHostname(p.name); err != nil {
		return []problem{{probes.ReasonCertificateWrongName, err}}
	}
	return nil
}

// judgeTimes returns a problem for each certificate that has expired, is not valid yet or expires soon.
func (p *Probe) judgeTimes(certificates []*x509.Certificate, now time.Time) (found []problem) {
	for _, c := range certificates {
		switch left := c.NotAfter.Sub(now); {
		case left < 0:
			found = append(found, problem{probes.ReasonCertificateExpired,
				fmt.Errorf("%s expired %s ago, at %s", describe(c), days(-left), moment(c.NotAfter))})
		case now.Before(c.NotBefore):
			found = append(found, problem{probes.ReasonCertificateNotYetValid,
				fmt.Errorf("%s is not valid before %s, in %s",
					describe(c), moment(c.NotBefore), days(c.NotBefore.Sub(now)))})
		case left < p.warningTime(c):
			found = append(found, problem{probes.ReasonCertificateExpiresSoon,
				fmt.Errorf("%s expires in %s, at %s", describe(c), days(left), moment(c.NotAfter))})
		}
	}
	return found
}

// warningTime returns how long before the expiry of c the check becomes a warning.
func (p *Probe) warningTime(c *x509.Certificate) time.Duration {
	if p.warns {
		return p.warnBefore
	}
	return min(21*24*time.Hour, c.NotAfter.Sub(c.NotBefore)/4)
}

// describe returns a name of the certificate for the text of an error.
func describe(c *x509.Certificate) string {
	name := c.Subject.CommonName
	if name == "" && len(c.DNSNames) > 0 {
		name = c.DNSNames[0]
	}
	if name == "" {
		return fmt.Sprintf("the certificate with the serial number %x", c.SerialNumber)
	}
	return fmt.Sprintf("the certificate %.64q", name)
}

func moment(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// days formats d, in days if it is at least two days.
func days(d time.Duration) string {
	if d >= 48*time.Hour {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.Round(time.Second).String()
}
