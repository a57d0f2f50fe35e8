// Package reason maps an error to a reason, which is a single word that may be shown to clients. The errors
// of all dependencies are mapped here. The package imports no driver. It recognizes a server's error by a
// method of the driver's error (SQLState, RedisError) or by the text (MySQL, SQLite). If it can't recognize
// an error of a dependency, the probe for that dependency must set the reason with probes.Fail.
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

// Of returns the reason of err, and "" for nil. A reason that probes.Warn or probes.Fail has set takes
// precedence. If that reason is not valid, Of returns ReasonFailed. Without one, Of returns the reason of the
// error with the highest rank in err's tree. If no error in the tree has the rank of a server's answer, Of
// also searches err's text.
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

// rank orders the causes in a tree of errors, beginning with the highest rank. The cause with the highest
// rank decides. A tree can have several causes, because some drivers join the errors of several hosts. An
// answer of a host explains more than a timeout of another.
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

// cause is the reason of an error in the tree, with the error's rank.
type cause struct {
	rank   rank
	reason probes.Reason
}

// findIn replaces c with the cause of the highest rank in err's tree, if that rank is higher than c's. The
// tree is searched in the order of errors.Is. Of several causes with the same rank the first one is taken.
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

// causeOf returns the cause of err itself, without the errors that it wraps.
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
		// The UNIX socket does not exist. PostgreSQL removes its socket when it stops, so no server is running.
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

// causeOfCommon recognizes errors by a value or a method instead of a type.
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

// causeOfText recognizes drivers' errors that have only a text. It skips an error that wraps others, because
// its text repeats theirs. It skips an error with a SQLSTATE, because its text can quote an error of another
// database.
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

// is works like errors.Is, but does not examine the errors that err wraps.
func is(err, target error) bool {
	matcher, ok := err.(interface{ Is(error) bool })
	return err == target || ok && matcher.Is(target)
}
