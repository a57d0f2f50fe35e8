package probes

// Reason is one word that says why a check is not OK. It matches [a-z][a-z0-9_]{0,31}, and is the only thing about a
// failure that leaves the process: a custom word must hold no host, user, path or other secret.
type Reason string

// The reasons that this module uses. A custom check may have words of its own.
const (
	// How the dependency could not be reached.
	ReasonTimeout           Reason = "timeout"            // no answer in time
	ReasonConnectionRefused Reason = "connection_refused" // nothing listens there
	ReasonConnectionLost    Reason = "connection_lost"    // the connection ended in mid-conversation
	ReasonHostNotFound      Reason = "host_not_found"     // the name does not resolve
	ReasonUnreachable       Reason = "unreachable"        // there is no route to it, or the name server cannot answer
	ReasonTLSError          Reason = "tls_error"          // no agreement on TLS, or a certificate is refused

	// What it answered.
	ReasonAuthenticationFailed Reason = "authentication_failed" // wrong user or password
	ReasonPermissionDenied     Reason = "permission_denied"     // known, but not allowed
	ReasonNotFound             Reason = "not_found"             // the database, vhost, queue or path does not exist
	ReasonTooManyConnections   Reason = "too_many_connections"  // the server's limit of connections is reached
	ReasonReadOnly             Reason = "read_only"             // it takes no writes: a standby or a replica
	ReasonOutOfResources       Reason = "out_of_resources"      // it is out of memory or disk, or this process out of files or ports
	ReasonDependencyStarting   Reason = "dependency_starting"   // it is starting, loading, recovering or stopping
	ReasonBrokerBlocked        Reason = "broker_blocked"        // the broker takes no messages: a memory or disk alarm
	ReasonMisconfigured        Reason = "misconfigured"         // it answers, but not to what it was asked for

	// What the application's own client said.
	ReasonPoolSaturated Reason = "pool_saturated" // every pooled connection is in use; the dependency itself answers
	ReasonPoolStuck     Reason = "pool_stuck"     // and the application has got none for a long time
	ReasonClientClosed  Reason = "client_closed"  // the application closed its client

	// Celery.
	ReasonNoConsumers    Reason = "no_consumers"    // nobody consumes a queue
	ReasonNoWorkers      Reason = "no_workers"      // no worker answered
	ReasonMissingWorkers Reason = "missing_workers" // some expected workers did not answer
	ReasonBacklog        Reason = "backlog"         // more tasks wait than the threshold allows

	// What the check itself found.
	ReasonSlow           Reason = "slow"            // it answered, but took longer than wanted
	ReasonAboveThreshold Reason = "above_threshold" // a figure is over its threshold
	ReasonStuck          Reason = "stuck"           // something that should move does not: a mount, a loop
	ReasonStale          Reason = "stale"           // the last result is too old to be believed
	ReasonPanic          Reason = "panic"           // the probe panicked
	ReasonFailed         Reason = "failed"          // none of the others; the log has the error
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
