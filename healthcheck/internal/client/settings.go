package client

import (
	"crypto/tls"
	"net/http"
	"time"
)

// Settings are the settings of all requests.
type Settings struct {
	Timeout     time.Duration // for a whole answer
	Header      http.Header
	Credentials string      // the origin of the Authorization in Header, in words; "" without one
	TLS         *tls.Config // for https URLs; nil is the default; an empty ServerName is the URL's host
}

// HasCredentials reports whether a request to the target has credentials.
func (s Settings) HasCredentials(t Target) bool { return s.Credentials != "" || t.HasUser() }
