// Package reason names an error: it turns an error into the one word that may be shown outside. It is the
// only place that maps errors to reasons for all dependencies alike. It imports no driver: it recognizes a
// server's answer by a method of the driver's error (SQLState, RedisError) or by its text (MySQL, SQLite).
// For an error that it can't recognize, the driver's own probe gives the reason with probes.Fail.
package reason

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"

	"github.com/echo-probes/echohealth/probes"
)

// Of returns the word for err, and "" for nil. A reason that probes.Warn or probes.Fail gave comes first; if
// it is not valid, Of returns ReasonFailed. Otherwise Of returns the reason of the error with the highest
// rank in err's tree. A server's answer may exist only in err's text.
func Of(err error) probes.Reason {
	if err == nil {
		return ""
	}
	if given := probes.FromError(err).Reason; given != "" {
		if !given.Valid() {
			return probes.ReasonFailed
		}
		return given
	}
	best := cause{rank: none}
	best.findIn(err)
	if best.rank > redisAnswer {
		best.readText(err.Error())
	}
	if best.reason == "" {
		return probes.ReasonFailed
	}
	return best.reason
}

// rank orders the causes in one tree of errors. The cause with the highest rank decides. The first constant
// is the highest rank. An error may join several causes, such as one for each host of a database. The answer
// of one host explains more than the silence of another.
type rank int

const (
	sqlAnswer rank = iota
	mySQLAnswer
	redisAnswer
	tlsFailure
	nameFailure
	socketMissing
	systemError
	connectionEnd
	deadline
	fileError
	driverText
	none
)

// cause is the reason of one error of a tree, with its rank.
type cause struct {
	rank   rank
	reason probes.Reason
}

// findIn replaces c with the cause of the highest rank in err's tree, if that is higher than c's. Between
// equal ranks the first in the order of errors.Is wins.
func (c *cause) findIn(err error) {
	for err != nil {
		if found := causeOf(err); found.rank < c.rank {
			*c = found
		}
		switch wrapper := err.(type) {
		case interface{ Unwrap() error }:
			err = wrapper.Unwrap()
		case interface{ Unwrap() []error }:
			for _, err := range wrapper.Unwrap() {
				c.findIn(err)
			}
			return
		default:
			return
		}
	}
}

// causeOf returns the cause that err itself states, without the errors that it wraps.
func causeOf(err error) cause {
	switch e := err.(type) {
	case interface{ SQLState() string }:
		if reason := bySQLAnswer(e.SQLState(), err.Error()); reason != "" {
			return cause{sqlAnswer, reason}
		}
	case interface{ RedisError() }:
		if reason := byRedisReply(err.Error()); reason != "" {
			return cause{redisAnswer, reason}
		}
	case *tls.CertificateVerificationError, tls.RecordHeaderError, tls.AlertError,
		x509.UnknownAuthorityError, x509.HostnameError, x509.CertificateInvalidError:
		return cause{tlsFailure, probes.ReasonTLSError}
	case *net.DNSError:
		return cause{nameFailure, byDNS(e)}
	case *net.OpError:
		// A UNIX socket that is missing means that its server is: PostgreSQL removes its own when it stops.
		if e.Op == "dial" && errors.Is(e, fs.ErrNotExist) {
			return cause{socketMissing, probes.ReasonConnectionRefused}
		}
	case syscall.Errno:
		if reason := byErrno(e); reason != "" {
			return cause{systemError, reason}
		}
	}
	return causeOfCommon(err)
}

// causeOfCommon knows the errors that have a value or a method, and no type of their own.
func causeOfCommon(err error) cause {
	timeout, ok := err.(interface{ Timeout() bool })
	switch {
	case is(err, io.EOF), is(err, io.ErrUnexpectedEOF), is(err, net.ErrClosed):
		return cause{connectionEnd, probes.ReasonConnectionLost}
	case ok && timeout.Timeout(), is(err, context.DeadlineExceeded), is(err, os.ErrDeadlineExceeded):
		return cause{deadline, probes.ReasonTimeout}
	case is(err, fs.ErrNotExist):
		return cause{fileError, probes.ReasonNotFound}
	case is(err, fs.ErrPermission):
		return cause{fileError, probes.ReasonPermissionDenied}
	}
	return causeOfText(err)
}

// causeOfText knows the errors of drivers that have nothing but a text. It does not read the text of an error
// that wraps others, which repeats theirs, or that gives its SQLSTATE, whose text may quote another database.
func causeOfText(err error) cause {
	switch err.(type) {
	case interface{ Unwrap() error }, interface{ Unwrap() []error }, interface{ SQLState() string }:
		return cause{rank: none}
	}
	text := ends(err.Error())
	if reason := byMySQL(err, text); reason != "" {
		return cause{mySQLAnswer, reason}
	}
	for _, table := range [][]word{mySQLTexts, sqliteTexts} {
		if reason := lookFor(text, table); reason != "" {
			return cause{driverText, reason}
		}
	}
	return cause{rank: none}
}

// is works like errors.Is, but only for err, not for the errors that it wraps.
func is(err, target error) bool {
	matcher, ok := err.(interface{ Is(error) bool })
	return err == target || ok && matcher.Is(target)
}
