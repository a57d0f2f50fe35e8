package client

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// Explain says in a few words why there is no answer.
func Explain(err error, timeout time.Duration) string {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	errno, isErrno := errors.AsType[syscall.Errno](err)
	certificate, isCertificate := errors.AsType[*tls.CertificateVerificationError](err)
	_, isRecord := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case isTimeout(err):
		return "no answer within " + timeout.String()
	case isDNS && dns.IsNotFound:
		return "host not found"
	case isDNS:
		return "the name server can't be asked"
	case isErrno && errnoTexts[errno] != "":
		return errnoTexts[errno]
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such socket"
	case isErrno:
		return errno.Error()
	case isCertificate:
		return text.Clean("the certificate is not accepted: "+certificate.Err.Error(), 160)
	case isRecord:
		return "the server does not speak TLS"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "connection closed without a whole answer"
	}
	return text.Clean(err.Error(), 160)
}

func isTimeout(err error) bool {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return true
	}
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}

// errnoTexts has Windows' socket errors by their numbers too: there the names of package syscall stand for
// numbers that the system never returns.
var errnoTexts = map[syscall.Errno]string{
	syscall.ECONNREFUSED: "connection refused",
	10061:                "connection refused",
	syscall.ECONNRESET:   "connection reset",
	syscall.ECONNABORTED: "connection reset",
	syscall.EPIPE:        "connection reset", // the error of a write where that of a read is ECONNRESET
	10053:                "connection reset",
	10054:                "connection reset",
}

// StatusText names a status by net/http's words, never by the server's.
func StatusText(status int) string {
	if name := http.StatusText(status); name != "" {
		return strconv.Itoa(status) + " " + name
	}
	return strconv.Itoa(status)
}
