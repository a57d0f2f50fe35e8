package client

import (
	"crypto/tls"
	"net/http"
	"time"
)

// Settings apply to all requests.
type Settings struct {
	Timeout     time.Duration // limit for a whole answer
	Header      http.Header
	Credentials string // describes which flag set Authorization in Header; "" if none did
	// TLS is for https URLs. Nil means the defaults of package tls. An empty ServerName means the URL's host.
	TLS *tls.Config
}

// HasCredentials reports whether a request to the target has credentials.
func (s Settings) HasCredentials(t Target) bool { return s.Credentials != "" || t.HasUser() }
