package page

import "github.com/echo-probes/echohealth/probes"

// troubleshooting is the address of the text about a reason, without the reason.
const troubleshooting = "https://github.com/echo-probes/echohealth/blob/main/docs/troubleshooting.md#"

// meanings explains each reason in one line. docs/troubleshooting.md has an entry for each.
var meanings = map[probes.Reason]string{
	probes.ReasonTimeout:                "no answer in time",
	probes.ReasonConnectionRefused:      "nothing listens at the address",
	probes.ReasonConnectionLost:         "the connection ended during use",
	probes.ReasonHostNotFound:           "the name does not resolve",
	probes.ReasonUnreachable:            "the network has no route to it",
	probes.ReasonTLSError:               "the TLS handshake failed",
	probes.ReasonAuthenticationFailed:   "wrong user or password",
	probes.ReasonPermissionDenied:       "the user lacks the permission",
	probes.ReasonNotFound:               "the requested object does not exist",
	probes.ReasonTooManyConnections:     "the server's limit is reached",
	probes.ReasonReadOnly:               "it accepts no writes",
	probes.ReasonOutOfResources:         "memory, disk, files or ports are used up",
	probes.ReasonDependencyStarting:     "it is starting or stopping",
	probes.ReasonBrokerBlocked:          "the broker has an alarm and accepts no messages",
	probes.ReasonMisconfigured:          "it responds, but not as expected",
	probes.ReasonPoolSaturated:          "the application uses all its connections",
	probes.ReasonPoolStuck:              "the application waits long for a connection",
	probes.ReasonClientClosed:           "the application closed its client",
	probes.ReasonNoConsumers:            "a queue has no consumer",
	probes.ReasonNoWorkers:              "no worker responds",
	probes.ReasonMissingWorkers:         "some workers do not respond",
	probes.ReasonBacklog:                "too many tasks wait",
	probes.ReasonCertificateExpired:     "a certificate has expired",
	probes.ReasonCertificateExpiresSoon: "a certificate expires soon",
	probes.ReasonCertificateNotYetValid: "a certificate is not valid yet",
	probes.ReasonCertificateWrongName:   "the certificate is for another name",
	probes.ReasonIncompleteChain:        "an intermediate certificate is missing",
	probes.ReasonUnknownAuthority:       "the certificate's authority is not trusted",
	probes.ReasonSwitchedOff:            "the application turned it off",
	probes.ReasonSlow:                   "it responds slowly",
	probes.ReasonAboveThreshold:         "the value is above its threshold",
	probes.ReasonStuck:                  "it makes no progress",
	probes.ReasonUnmounted:              "the file system is no longer mounted",
	probes.ReasonStale:                  "the service no longer runs checks",
	probes.ReasonPanic:                  "the check panicked",
	probes.ReasonFailed:                 "see the log for the error",
}
