package certprobe

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/echo-probes/echohealth/internal/redact"
)

// parseAddress returns the host of a host:port address, or an error for an invalid address.
func parseAddress(address string) (string, error) {
	refuse := func(rule string) (string, error) {
		return "", fmt.Errorf("certprobe.Server(%q): %s", hidden(address), rule)
	}
	if strings.Contains(address, "://") {
		return refuse("the address must be host:port, not a URL")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return refuse("the address must be host:port, such as example.com:443 or [::1]:443")
	}
	if !validHost(host) {
		return refuse("the host must be a host name or an IP address")
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return refuse("the port must be a number from 1 to 65535")
	}
	return host, nil
}

// validHost reports whether host is an IP address or may be a host name. A name with non-ASCII letters is not
// valid, because certificates contain such a name in its form xn--….
func validHost(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return host != "" && len(host) <= 253 &&
		strings.Trim(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_") == ""
}

// withoutZone removes the zone of an IPv6 address, which no certificate has.
func withoutZone(host string) string {
	if address, err := netip.ParseAddr(host); err == nil && address.Zone() != "" {
		return address.WithZone("").String()
	}
	return host
}

// hidden returns s for the text of an error. It hides everything before an @, which may be a user and a
// password, and everything after a ? or #.
func hidden(s string) string {
	scheme, rest, found := strings.Cut(s, "://")
	if found && !strings.ContainsAny(scheme, ":@?#") {
		scheme += "://"
	} else {
		scheme, rest = "", s
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		rest = "***" + rest[at:]
	}
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i+1] + "…"
	}
	return redact.Text(scheme + rest)
}
