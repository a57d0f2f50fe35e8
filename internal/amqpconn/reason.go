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
// after the login. For errors of the login see dial.
//
// The codes: https://www.rabbitmq.com/amqp-0-9-1-reference#constants
func Reason(err error) probes.Reason {
	e, ok := errors.AsType[*amqp.Error](err)
	switch {
	case !ok:
		return ""
	case !e.Server:
		return clientReason(e)
	case e.Code == amqp.NotAllowed || e.Code == amqp.InternalError:
		return byText(e.Reason, refusals)
	}
	if reason := byCode[e.Code]; reason != "" {
		return reason
	}
	return probes.ReasonFailed
}

// IsNotFound reports whether the broker said that the queue or exchange does not exist.
func IsNotFound(err error) bool { return serverCode(err) == amqp.NotFound }

var byCode = map[int]probes.Reason{
	amqp.ConnectionForced:   probes.ReasonDependencyStarting, // a shutdown, or an operator closed the connection
	amqp.AccessRefused:      probes.ReasonPermissionDenied,
	amqp.NotFound:           probes.ReasonNotFound,
	amqp.ResourceLocked:     probes.ReasonPermissionDenied, // it exists, exclusive to another connection
	amqp.PreconditionFailed: probes.ReasonMisconfigured,    // it exists with other properties
	amqp.ResourceError:      probes.ReasonOutOfResources,
}

type text struct {
	part   string
	reason probes.Reason
}

// refusals are RabbitMQ's texts for codes with several causes.
var refusals = []text{
	{"' is down", probes.ReasonDependencyStarting}, // a vhost that is starting or has failed
	{" limit (", probes.ReasonTooManyConnections},
	{" not found", probes.ReasonNotFound},
	{"' refused for user '", probes.ReasonPermissionDenied},
}

// clientReason is for errors of amqp091-go itself. They contain only the text of a network error.
func clientReason(e *amqp.Error) probes.Reason {
	if e.Code == amqp.FrameError && strings.Contains(e.Reason, "i/o timeout") {
		return probes.ReasonTimeout
	}
	if e.Code == amqp.FrameError || e.Code == amqp.ChannelError {
		return probes.ReasonConnectionLost
	}
	return probes.ReasonFailed
}

func byText(s string, texts []text) probes.Reason {
	for _, t := range texts {
		if strings.Contains(s, t.part) {
			return t.reason
		}
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
		return !Refused(err)
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
