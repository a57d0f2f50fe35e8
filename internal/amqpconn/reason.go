package amqpconn

import (
	"errors"
	"io"
	"net"
	"strings"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/echo-probes/echohealth/probes"
)

// Reason returns the reason of an error of amqp091-go, and an empty one for any other error. It is valid
// after the login. For errors of the login see loginError.
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

// IsNotFound reports whether the broker said that the queue or exchange does not exist. It says 404 also for
// a queue that exists.
func IsNotFound(err error) bool {
	return serverCode(err) == amqp.NotFound && Reason(err) == probes.ReasonNotFound
}

// IsLocked reports whether the broker said that the queue exists and is exclusive to another connection.
func IsLocked(err error) bool { return serverCode(err) == amqp.ResourceLocked }

// IsForbidden reports whether the broker refused a call for want of permission.
func IsForbidden(err error) bool { return Refused(err) && serverCode(err) == amqp.AccessRefused }

// IsChannelLimit reports whether a limit forbids another channel. It is the connection's, or one of the
// broker, which then has closed the connection.
func IsChannelLimit(err error) bool {
	return errors.Is(err, amqp.ErrChannelMax) ||
		serverCode(err) == amqp.NotAllowed && strings.Contains(err.Error(), channelLimit)
}

// channelLimit is a part of the text of every error that says that a limit of channels is reached.
const channelLimit = " has reached the "

// Rejected reports whether the broker has refused a call, or the connection has reached its limit of
// channels. The broker may have closed the connection because of the call. The end of a connection because
// the broker shuts down is not a refusal.
func Rejected(err error) bool {
	code := serverCode(err)
	return code != 0 && code != amqp.ConnectionForced || IsChannelLimit(err)
}

// answers are RabbitMQ's errors and their reasons. The first row applies whose code is the error's and whose
// part is in its text.
//
// The codes: https://www.rabbitmq.com/amqp-0-9-1-reference#constants
// The texts: deps/rabbit/src/rabbit_{reader,channel,amqqueue,queue_type,exchange}.erl, 3.10 to 4.3
var answers = []struct {
	code   int
	part   string
	reason probes.Reason
}{
	{amqp.ConnectionForced, "credential expired", probes.ReasonAuthenticationFailed},
	{amqp.ConnectionForced, "", probes.ReasonDependencyStarting}, // a shutdown, or an operator
	{amqp.AccessRefused, "", probes.ReasonPermissionDenied},

	// What does not exist is "no queue 'q' in vhost '/'". Any other text that names a queue is about one that
	// exists, whose node or process is down. Other brokers write "Queue", or name nothing.
	{amqp.NotFound, "NOT_FOUND - no ", probes.ReasonNotFound},
	{amqp.NotFound, " due to timeout", probes.ReasonTimeout},
	{amqp.NotFound, " may be stopping or being demoted", probes.ReasonDependencyStarting},
	{amqp.NotFound, "queue '", probes.ReasonUnreachable},
	{amqp.NotFound, "", probes.ReasonNotFound},

	{amqp.ResourceLocked, "", probes.ReasonPermissionDenied},

	// A limit of queues or exchanges, or an object that exists with other properties.
	{amqp.PreconditionFailed, " is reached", probes.ReasonOutOfResources},
	{amqp.PreconditionFailed, "", probes.ReasonMisconfigured},
	{amqp.ResourceError, "", probes.ReasonOutOfResources},

	// Limits of connections, then of channels, then of the values that both sides agree on.
	{amqp.NotAllowed, " cannot be queried, timeout", probes.ReasonTimeout},
	{amqp.NotAllowed, " limit (", probes.ReasonTooManyConnections},
	{amqp.NotAllowed, channelLimit, probes.ReasonTooManyConnections},
	{amqp.NotAllowed, " allowed value (", probes.ReasonMisconfigured},

	// The vhost. It is also down while it starts.
	{amqp.NotAllowed, " not found", probes.ReasonNotFound},
	{amqp.NotAllowed, " refused for user '", probes.ReasonPermissionDenied},
	{amqp.InternalError, "' is down", probes.ReasonDependencyStarting},

	// The cluster's own store does not answer, or a feature is no longer permitted.
	{amqp.InternalError, "timeout", probes.ReasonTimeout},
	{amqp.InternalError, "timed out", probes.ReasonTimeout},
	{amqp.InternalError, " is deprecated", probes.ReasonMisconfigured},
	{amqp.NotImplemented, "", probes.ReasonMisconfigured},
}

// clientReason is for errors of amqp091-go itself. They contain only the text of a network error.
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

// serverCode returns the broker's code, or 0 if the error is not the broker's.
func serverCode(err error) int {
	if e, ok := errors.AsType[*amqp.Error](err); ok && e.Server {
		return e.Code
	}
	return 0
}

// Refused reports whether err is the broker's refusal of a single call, which closes the channel but not the
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

// withReason returns err with its reason, unless it has one already.
func withReason(err error) error {
	reason := Reason(err)
	if reason == "" || probes.FromError(err).Reason != "" {
		return err
	}
	return probes.Fail(reason, err)
}
