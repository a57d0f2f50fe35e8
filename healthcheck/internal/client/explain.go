package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"

	"github.com/echo-probes/echohealth/healthcheck/internal/text"
)

// Explain describes an error of Ask or Dial in a few words.
func (s Settings) Explain(err error) string {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	errno, isErrno := errors.AsType[syscall.Errno](err)
	tlsText := s.explainTLS(err)
	switch {
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case isTimeout(err):
		return "no answer within " + s.Timeout.String()
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
	case tlsText != "":
		return tlsText
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

// errnoTexts contains Windows's socket errors by their numbers too, because package syscall defines the names
// on Windows with values that Windows never returns.
var errnoTexts = map[syscall.Errno]string{
	syscall.ECONNREFUSED: "connection refused",
	10061:                "connection refused",
	syscall.ECONNRESET:   "connection reset",
	syscall.ECONNABORTED: "connection reset",
	syscall.EPIPE:        "connection reset", // reading returns ECONNRESET in the same case
	10053:                "connection reset",
	10054:                "connection reset",
}

// ExplainStatus returns the likely cause of an answer's status, or "" if it knows none.
func (s Settings) ExplainStatus(t Target, a *Answer) string {
	switch {
	case a.Status/100 == 3:
		return "redirects are not followed"
	case a.Status == http.StatusUnauthorized:
		return s.explainRefusal(t)
	case a.Status == http.StatusForbidden:
		return s.explainRefusal(t) + ", or requests from this address are not allowed"
	case a.Status == http.StatusNotFound:
		return "there is no such check, group or endpoint, or the prefix is another"
	case a.Status == http.StatusBadRequest && bytes.Contains(a.Body, []byte("SSL certificate")):
		// nginx answers so.
		return "the server does not accept the client certificate, or requires one (--cert and --key)"
	}
	return ""
}

// explainRefusal describes what is wrong with the credentials, and names the flag that sets them.
func (s Settings) explainRefusal(t Target) string {
	switch {
	case s.Credentials != "":
		return s.Credentials + " is wrong"
	case t.HasUser():
		return "the user or the password in the URL is wrong"
	}
	return "a token is missing (--token-env or --token-file)"
}

// StatusText returns the status with the text that package net/http has for it. It never contains the
// server's own text.
func StatusText(status int) string {
	if name := http.StatusText(status); name != "" {
		return strconv.Itoa(status) + " " + name
	}
	return strconv.Itoa(status)
}
