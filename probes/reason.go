package probes

// Reason is one word for why a check is not OK. It must match [a-z][a-z0-9_]{0,31}. Every client that may see
// the check sees its reason, so a custom reason must not contain a host, a user, a path or another secret.
type Reason string

// The reasons of this module. A custom check may use other words.
const (
	// The dependency could not be reached.
	ReasonTimeout           Reason = "timeout"            // no answer in time
	ReasonConnectionRefused Reason = "connection_refused" // nothing listens there
	ReasonConnectionLost    Reason = "connection_lost"    // the connection ended during use
	ReasonHostNotFound      Reason = "host_not_found"     // the name does not resolve
	ReasonUnreachable       Reason = "unreachable"        // no route, or the name server does not answer
	ReasonTLSError          Reason = "tls_error"          // the handshake failed, or a certificate is rejected

	// The dependency answered with a refusal.
	ReasonAuthenticationFailed Reason = "authentication_failed" // wrong user or password
	ReasonPermissionDenied     Reason = "permission_denied"     // the user is known, but not allowed
	ReasonNotFound             Reason = "not_found"             // no such database, vhost, queue or path
	ReasonTooManyConnections   Reason = "too_many_connections"  // the server's limit of connections is reached
	ReasonReadOnly             Reason = "read_only"             // it refuses writes: a standby, replica, mount
	ReasonOutOfResources       Reason = "out_of_resources"      // no memory, disk, files or ports left
	ReasonDependencyStarting   Reason = "dependency_starting"   // it starts, loads, recovers or stops
	ReasonBrokerBlocked        Reason = "broker_blocked"        // its memory or disk alarm blocks messages
	ReasonMisconfigured        Reason = "misconfigured"         // it answers, but not in the expected way

	// The application's own client reported the problem.
	ReasonPoolSaturated Reason = "pool_saturated" // every pooled connection is in use, the dependency answers
	ReasonPoolStuck     Reason = "pool_stuck"     // the same, and the application gets none of them
	ReasonClientClosed  Reason = "client_closed"  // the application closed its client

	// Celery.
	ReasonNoConsumers    Reason = "no_consumers"    // a queue has no consumer
	ReasonNoWorkers      Reason = "no_workers"      // no worker answered
	ReasonMissingWorkers Reason = "missing_workers" // some expected workers did not answer
	ReasonBacklog        Reason = "backlog"         // more tasks wait than the threshold allows

	// Reasons of package certprobe. If another probe refuses a certificate, it reports ReasonTLSError.
	ReasonCertificateExpired     Reason = "certificate_expired"       // a certificate has expired
	ReasonCertificateExpiresSoon Reason = "certificate_expires_soon"  // a certificate must be renewed soon
	ReasonCertificateNotYetValid Reason = "certificate_not_yet_valid" // not valid yet, or the clock is wrong
	ReasonCertificateWrongName   Reason = "certificate_wrong_name"    // a certificate is for another name
	ReasonIncompleteChain        Reason = "incomplete_chain"          // an intermediate certificate is missing
	ReasonUnknownAuthority       Reason = "unknown_authority"         // a certificate's authority is not trusted

	// The application turned a Switch off, and gave no reason.
	ReasonSwitchedOff Reason = "switched_off"

	// Other reasons.
	ReasonSlow           Reason = "slow"            // it answered, but took longer than configured
	ReasonAboveThreshold Reason = "above_threshold" // a value is above its threshold
	ReasonStuck          Reason = "stuck"           // a mount or a loop makes no progress
	ReasonUnmounted      Reason = "unmounted"       // the file system of a disk is not mounted any more
	ReasonStale          Reason = "stale"           // the last result is too old
	ReasonPanic          Reason = "panic"           // the probe panicked
	ReasonFailed         Reason = "failed"          // any other problem; the log has the error
)

// Valid reports whether r matches [a-z][a-z0-9_]{0,31}.
func (r Reason) Valid() bool {
	if len(r) == 0 || len(r) > 32 || r[0] < 'a' || r[0] > 'z' {
		return false
	}
	for i := 1; i < len(r); i++ {
		if c := r[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return true
}
