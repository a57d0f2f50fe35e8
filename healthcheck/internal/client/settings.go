package client

import (
	"crypto/tls"
	"net/http"
	"time"
)

// Settings is what all requests have in common.
type Settings struct {
	Timeout     time.Duration // of a whole answer
	Header      http.Header
	Credentials string      // what gave the Authorization of Header, in words; empty if there is none
	TLS         *tls.Config // for https URLs, ServerName may be empty; nil is the default
}

// HasCredentials reports whether a request to the target has any.
func (s Settings) HasCredentials(t Target) bool { return s.Credentials != "" || t.HasUser() }
