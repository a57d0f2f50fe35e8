// Package classify turns an error into the one word that may be shown to anybody, and into the text that may be
// logged. It is the only place that maps errors to reasons for all dependencies alike. It imports no driver: a server's
// answer is known by the methods that the drivers' errors have (SQLState, RedisError); what can't be known
// that way, the driver's own probe names with probes.Fail.
package classify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/echo-probes/echohealth/probes"
)

// Reason is the word for err, and empty for nil. It looks at the server's own answer first, since an error may join
// several (a database with two hosts): what a server said explains more than that another did not answer. A word of
// which the pattern doesn't hold is ReasonFailed.
func Reason(err error) probes.Reason {
	if err == nil {
		return ""
	}
	for _, find := range []func(error) probes.Reason{named, bySQLState, byRedisReply, byTLS, byNetwork, byTime, byFile, byText} {
		if reason := find(err); reason != "" {
			return reason
		}
	}
	return probes.ReasonFailed
}

// named is the reason that probes.Warn or probes.Fail gave.
func named(err error) probes.Reason {
	reason := probes.FromError(err).Reason
	if reason != "" && !reason.Valid() {
		return probes.ReasonFailed
	}
	return reason
}

func byTLS(err error) probes.Reason {
	if is[*tls.CertificateVerificationError](err) || is[tls.RecordHeaderError](err) || is[tls.AlertError](err) ||
		is[x509.UnknownAuthorityError](err) || is[x509.HostnameError](err) || is[x509.CertificateInvalidError](err) {
		return probes.ReasonTLSError
	}
	return ""
}

func byNetwork(err error) probes.Reason {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return byDNS(dns)
	}
	// A UNIX socket that isn't there means that its server isn't: PostgreSQL removes its own when it stops.
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" && errors.Is(op, fs.ErrNotExist) {
		return probes.ReasonConnectionRefused
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		for _, known := range errnos {
			if errno == known.errno {
				return known.reason
			}
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return probes.ReasonConnectionLost
	}
	return ""
}

// byDNS tells a name that does not exist from a name server that can't be asked, or says that it can't answer now: then nobody
// knows whether the name exists. Of an error of the system's own only the text is left.
func byDNS(dns *net.DNSError) probes.Reason {
	switch {
	case dns.IsTimeout:
		return probes.ReasonTimeout
	case strings.Contains(dns.Err, syscall.EMFILE.Error()), strings.Contains(dns.Err, syscall.ENFILE.Error()):
		return probes.ReasonOutOfResources
	case dns.IsTemporary && !dns.IsNotFound:
		return probes.ReasonUnreachable
	}
	return probes.ReasonHostNotFound
}

// errnos have Windows' socket errors by their numbers too, which are no other system's: there the names of
// package syscall stand for numbers that the system never returns.
var errnos = []struct {
	errno  syscall.Errno
	reason probes.Reason
}{
	{syscall.ECONNREFUSED, probes.ReasonConnectionRefused},
	{10061, probes.ReasonConnectionRefused},
	{syscall.ECONNRESET, probes.ReasonConnectionLost},
	{syscall.ECONNABORTED, probes.ReasonConnectionLost},
	{syscall.EPIPE, probes.ReasonConnectionLost},
	{10053, probes.ReasonConnectionLost},
	{10054, probes.ReasonConnectionLost},
	{syscall.EHOSTUNREACH, probes.ReasonUnreachable},
	{syscall.EHOSTDOWN, probes.ReasonUnreachable},
	{syscall.ENETUNREACH, probes.ReasonUnreachable},
	{syscall.ENETDOWN, probes.ReasonUnreachable},
	{10050, probes.ReasonUnreachable},
	{10051, probes.ReasonUnreachable},
	{10064, probes.ReasonUnreachable},
	{10065, probes.ReasonUnreachable},
	{syscall.ETIMEDOUT, probes.ReasonTimeout},
	{10060, probes.ReasonTimeout},

	// Of this process or its machine: no file descriptor, port, buffer or memory is left.
	{syscall.EMFILE, probes.ReasonOutOfResources},
	{syscall.ENFILE, probes.ReasonOutOfResources},
	{syscall.EADDRNOTAVAIL, probes.ReasonOutOfResources},
	{syscall.ENOBUFS, probes.ReasonOutOfResources},
	{syscall.ENOMEM, probes.ReasonOutOfResources},
	{10024, probes.ReasonOutOfResources},
	{10049, probes.ReasonOutOfResources},
	{10055, probes.ReasonOutOfResources},
}

func byTime(err error) probes.Reason {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		return probes.ReasonTimeout
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return probes.ReasonTimeout
	}
	return ""
}

func byFile(err error) probes.Reason {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return probes.ReasonNotFound
	case errors.Is(err, fs.ErrPermission):
		return probes.ReasonPermissionDenied
	}
	return ""
}

// byText is for the errors that have nothing but a fixed text.
func byText(err error) probes.Reason {
	return lookIn(ends(err.Error()), texts)
}

// word is the reason for a code or a text. Tables of them are no maps, which would be built at start by code
// of 4 KB.
type word struct {
	text   string
	reason probes.Reason
}

// lookUp returns the reason for code.
func lookUp(table []word, code string) probes.Reason {
	for _, w := range table {
		if w.text == code {
			return w.reason
		}
	}
	return ""
}

// lookIn returns the reason for the first of the texts that is in text.
func lookIn(text string, table []word) probes.Reason {
	for _, w := range table {
		if strings.Contains(text, w.text) {
			return w.reason
		}
	}
	return ""
}

var texts = []word{
	{"sql: database is closed", probes.ReasonClientClosed},
	{"closed pool", probes.ReasonClientClosed}, // puddle, below pgxpool
	{"redis: client is closed", probes.ReasonClientClosed},
	{"redis: connection pool timeout", probes.ReasonPoolSaturated},
	{"redis: connection pool exhausted", probes.ReasonPoolSaturated},
	{"driver: bad connection", probes.ReasonConnectionLost},
	{"server refused TLS connection", probes.ReasonTLSError},      // pgx
	{"SSL is not enabled on the server", probes.ReasonTLSError},   // lib/pq
	{"server gave HTTP response to HTTPS", probes.ReasonTLSError}, // net/http
	{"tls: ", probes.ReasonTLSError},                              // alerts are of an unexported type
}

// ends returns what is looked at of a text: all of it, or the beginning and the end of a long one, where errors are wrapped.
func ends(text string) string {
	if len(text) <= maxWork {
		return text
	}
	return text[:maxWork/2] + text[len(text)-maxWork/2:]
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}
