package reason

import (
	"net"
	"strings"
	"syscall"

	"github.com/echo-probes/echohealth/probes"
)

// byDNS returns host_not_found only if the name server answered that the name does not exist. If the name
// server can't be reached or can't answer now, the name may exist. Two errors of the operating system are
// recognized by their text, because package net keeps nothing else of them.
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

func byErrno(errno syscall.Errno) probes.Reason {
	for _, known := range errnos {
		if errno == known.errno {
			return known.reason
		}
	}
	return ""
}

// errnos includes the numbers of Windows' socket errors, from 10024 on. No other system uses these numbers.
// The constants of package syscall have other values on Windows, which Windows never returns.
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

	{syscall.EROFS, probes.ReasonReadOnly},

	// These are errors of this machine: no disk space, file descriptor, port, buffer or memory is left.
	{syscall.ENOSPC, probes.ReasonOutOfResources},
	{syscall.EDQUOT, probes.ReasonOutOfResources},
	{syscall.EMFILE, probes.ReasonOutOfResources},
	{syscall.ENFILE, probes.ReasonOutOfResources},
	{syscall.EADDRNOTAVAIL, probes.ReasonOutOfResources},
	{syscall.ENOBUFS, probes.ReasonOutOfResources},
	{syscall.ENOMEM, probes.ReasonOutOfResources},
	{10024, probes.ReasonOutOfResources},
	{10049, probes.ReasonOutOfResources},
	{10055, probes.ReasonOutOfResources},
}
