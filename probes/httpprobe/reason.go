package httpprobe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/echo-probes/echohealth/probes"
)

// explain returns the error of a request without the URL. If only the text of a net/http error has the cause,
// explain adds the reason.
func (p *Probe) explain(ctx context.Context, err error) error {
	err = withoutURL(err)
	if silent, ok := errors.AsType[*noAnswerError](err); ok && !p.answered.Load() {
		if protocol := otherProtocol(ctx, silent.server); protocol != "" {
			return probes.Fail(probes.ReasonMisconfigured, fmt.Errorf("the server speaks %s: %w", protocol, err))
		}
	}
	text := err.Error()
	for _, known := range texts {
		if text == known.text || !known.whole && strings.Contains(text, known.text) {
			return probes.Fail(known.reason, err)
		}
	}
	return err
}

// texts are the errors of package net/http that can be recognized only by their text.
var texts = []struct {
	text   string
	whole  bool
	reason probes.Reason
}{
	// The server speaks another protocol. In the second case it has sent bytes before the request.
	{"malformed HTTP ", false, probes.ReasonMisconfigured},
	{"readLoopPeekFailLocked: %!w(<nil>)", false, probes.ReasonMisconfigured},

	// With the option Client, a proxy has refused CONNECT with this status.
	{http.StatusText(http.StatusProxyAuthRequired), true, probes.ReasonAuthenticationFailed},
	{http.StatusText(http.StatusForbidden), true, probes.ReasonPermissionDenied},

	// A SOCKS proxy has refused the connection.
	{"username/password authentication failed", false, probes.ReasonAuthenticationFailed},
	{"no acceptable authentication methods", false, probes.ReasonAuthenticationFailed},
	{"unknown error connection not allowed by ruleset", false, probes.ReasonPermissionDenied},
	{"unknown error connection refused", false, probes.ReasonConnectionRefused},
	{"unknown error host unreachable", false, probes.ReasonUnreachable},
	{"unknown error network unreachable", false, probes.ReasonUnreachable},
}

// judgeProxy returns an error if a proxy answers CONNECT with another status than 200.
func judgeProxy(_ context.Context, _ *url.URL, _ *http.Request, response *http.Response) error {
	if response.StatusCode == http.StatusOK {
		return nil
	}
	reason := reasonFor(response.StatusCode)
	if reason == "" {
		reason = probes.ReasonMisconfigured
	}
	return probes.Fail(reason, fmt.Errorf("the proxy answers CONNECT with HTTP status %d %s",
		response.StatusCode, http.StatusText(response.StatusCode)))
}

// withoutURL removes the error in which net/http quotes the URL, because the URL's query may contain a token.
func withoutURL(err error) error {
	if urlError, ok := errors.AsType[*url.Error](err); ok {
		return urlError.Err
	}
	return err
}

// reasonFor returns the reason for a status, or "" for 2xx. Most statuses of 5xx have ReasonFailed, because
// the detail status_code contains the number.
func reasonFor(status int) probes.Reason {
	switch status {
	case http.StatusUnauthorized, http.StatusProxyAuthRequired:
		return probes.ReasonAuthenticationFailed
	case http.StatusForbidden:
		return probes.ReasonPermissionDenied
	case http.StatusNotFound, http.StatusGone:
		return probes.ReasonNotFound
	case http.StatusRequestTimeout, http.StatusGatewayTimeout:
		return probes.ReasonTimeout
	case http.StatusTooManyRequests:
		return probes.ReasonFailed
	}
	switch status / 100 {
	case 2:
		return ""
	case 1, 3, 4:
		return probes.ReasonMisconfigured
	}
	return probes.ReasonFailed
}
