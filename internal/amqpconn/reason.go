package amqpconn

import (
	"errors"
	"io"
	"net"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/echo-probes/echohealth/probes"
)

// Reason returns the reason of an error of amqp091-go, and "" for any other error. It must be used for errors
// after the login only. loginError is for those of the login.
func Reason(err error) probes.Reason {
	e, ok := errors.AsType[*amqp.Error](err)
	switch {
	case !ok:
		return ""
	case !e.Server:
		return clientReason(e)
	}
	for _, a := range answers {
		if a.code == e.Code && strings.Contains(e.Reason, a.part) {
			return a.reason
		}
	}
	return probes.ReasonFailed
}

// IsNotFound reports whether the queue or exchange does not exist. It does not rely on the error's code only,
// because the broker sends 404 also if a queue exists and is unreachable.
func IsNotFound(err error) bool {
	return serverCode(err) == amqp.NotFound && Reason(err) == probes.ReasonNotFound
}

// IsLocked reports whether the queue exists and is exclusive to another connection.
func IsLocked(err error) bool { return serverCode(err) == amqp.ResourceLocked }

// IsForbidden reports whether the broker refused a call because the user lacks the permission.
func IsForbidden(err error) bool { return Refused(err) && serverCode(err) == amqp.AccessRefused }

// IsChannelLimit reports whether no channel could be opened because of a limit. It is the connection's limit,
// or a limit of the broker, which also closes the connection.
func IsChannelLimit(err error) bool {
	return errors.Is(err, amqp.ErrChannelMax) ||
		serverCode(err) == amqp.NotAllowed && strings.Contains(err.Error(), channelLimit)
}

// channelLimit is contained in every text with which the broker reports that a limit of channels is reached.
const channelLimit = " has reached the "

// Rejected reports whether the broker refused a call, even if it closed the connection for that, or whether a
// limit of channels is reached. It returns false if the connection ended because the broker shuts down.
func Rejected(err error) bool {
	code := serverCode(err)
	return code != 0 && code != amqp.ConnectionForced || IsChannelLimit(err)
}

// answers maps RabbitMQ's errors to reasons. A row matches if its code is the error's and the error's text
// contains its part. The first match counts.
//
// The codes: https://www.rabbitmq.com/amqp-0-9-1-reference#constants
// The texts: deps/rabbit/src/rabbit_{reader,channel,amqqueue,queue_type,exchange}.erl, 3.10 to 4.3
var answers = []struct {
	code   int
	part   string
	reason probes.Reason
}{
	{amqp.ConnectionForced, "credential expired", probes.ReasonAuthenticationFailed},
	{amqp.ConnectionForced, "", probes.ReasonDependencyStarting}, // a shutdown, or an operator's command
	{amqp.AccessRefused, "", probes.ReasonPermissionDenied},

	// RabbitMQ reports a missing queue as "no queue 'q' in vhost '/'". If it names a queue in another text, the
	// queue exists, but its node or process is down. Other brokers write "Queue" in a text, or no name.
	{amqp.NotFound, "NOT_FOUND - no ", probes.ReasonNotFound},
	{amqp.NotFound, " due to timeout", probes.ReasonTimeout},
	{amqp.NotFound, " may be stopping or being demoted", probes.ReasonDependencyStarting},
	{amqp.NotFound, "queue '", probes.ReasonUnreachable},
	{amqp.NotFound, "", probes.ReasonNotFound},

	{amqp.ResourceLocked, "", probes.ReasonPermissionDenied},

	// The first of these is a limit of queues or exchanges. The second is an object that exists with other
	// properties.
	{amqp.PreconditionFailed, " is reached", probes.ReasonOutOfResources},
	{amqp.PreconditionFailed, "", probes.ReasonMisconfigured},
	{amqp.ResourceError, "", probes.ReasonOutOfResources},

	// These are a limit of connections that could not be checked, a limit of connections, a limit of channels,
	// and a negotiated value, such as frame_max, outside the broker's range.
	{amqp.NotAllowed, " cannot be queried, timeout", probes.ReasonTimeout},
	{amqp.NotAllowed, " limit (", probes.ReasonTooManyConnections},
	{amqp.NotAllowed, channelLimit, probes.ReasonTooManyConnections},
	{amqp.NotAllowed, " allowed value (", probes.ReasonMisconfigured},

	// These are about the vhost. A vhost that is starting is also reported as down.
	{amqp.NotAllowed, " not found", probes.ReasonNotFound},
	{amqp.NotAllowed, " refused for user '", probes.ReasonPermissionDenied},
	{amqp.InternalError, "' is down", probes.ReasonDependencyStarting},

	// These report that the cluster's metadata store does not answer, or that a feature is no longer permitted.
	{amqp.InternalError, "timeout", probes.ReasonTimeout},
	{amqp.InternalError, "timed out", probes.ReasonTimeout},
	{amqp.InternalError, " is deprecated", probes.ReasonMisconfigured},
	{amqp.NotImplemented, "", probes.ReasonMisconfigured},
}

// clientReason returns the reason of an error that amqp091-go made itself. If the cause is a network error, e
// contains only its text.
func clientReason(e *amqp.Error) probes.Reason {
	if e.Reason == amqp.ErrChannelMax.Reason {
		return probes.ReasonTooManyConnections
	}
	if e.Code == amqp.FrameError && strings.Contains(e.Reason, "i/o timeout") {
		return probes.ReasonTimeout
	}
	if e.Code == amqp.FrameError || e.Code == amqp.ChannelError {
		return probes.ReasonConnectionLost
	}
	return probes.ReasonFailed
}

// notAMQP reports whether the server does not speak AMQP.
func notAMQP(err error) bool {
	e, ok := errors.AsType[*amqp.Error](err)
	return ok && !e.Server && (strings.Contains(e.Reason, amqp.ErrFrame.Reason) ||
		strings.Contains(e.Reason, amqp.ErrFrameTooLarge.Reason))
}

// serverCode returns the code of an error that the broker sent, or 0 for any other error.
func serverCode(err error) int {
	if e, ok := errors.AsType[*amqp.Error](err); ok && e.Server {
		return e.Code
	}
	return 0
}

// Refused reports whether the broker refused a single call. It then closes the channel, but not the
// connection.
func Refused(err error) bool {
	e, ok := errors.AsType[*amqp.Error](err)
	return ok && e.Server && e.Recover
}

// connectionLost reports whether err means that the connection is unusable.
func connectionLost(err error) bool {
	if _, ok := errors.AsType[*amqp.Error](err); ok {
		return !Refused(err) && !errors.Is(err, amqp.ErrChannelMax)
	}
	_, network := errors.AsType[*net.OpError](err)
	return network || errors.Is(err, io.EOF)
}

// withReason returns err with the reason of its AMQP error, unless err already has a reason.
func withReason(err error) error {
	reason := Reason(err)
	if reason == "" || probes.FromError(err).Reason != "" {
		return err
	}
	return probes.Fail(reason, err)
}
