package amqpconn

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Target is a broker to connect to, and how.
type Target struct {
	url       string        // for amqp091-go: one of its schemes, and the options that it understands
	tls       *tls.Config   // nil without TLS
	timeout   time.Duration // for connecting and logging in; 0: no other limit than the call's
	heartbeat string        // as in the URL, "" where it says nothing
}

// defaultHeartbeat notices after 15 s that the broker behind an idle connection is gone.
const defaultHeartbeat = 10 * time.Second

// ParseURL reads a URL as amqp091-go does, amqp:// or amqps:// with the query parameters of RabbitMQ's specification
// (https://www.rabbitmq.com/docs/uri-spec), or as Celery does: pyamqp://, ssl_cert_reqs and its like. It refuses what
// it doesn't understand, several brokers too. Its errors hold neither user nor password.
func ParseURL(raw string, custom *tls.Config) (*Target, error) {
	u, query, err := ParseBrokerURL(raw, "amqp", "amqps", "pyamqp")
	if err != nil {
		return nil, err
	}
	target, err := newTarget(u, query, custom)
	if err != nil {
		return nil, InvalidURL(raw, err)
	}
	return target, nil
}

func newTarget(u *url.URL, query Query, custom *tls.Config) (*Target, error) {
	var err error
	t := &Target{}
	if t.tls, err = TakeTLS(query, u.Scheme == "amqps", custom); err != nil {
		return nil, err
	}
	if t.timeout, err = takeTimeout(query); err != nil {
		return nil, err
	}
	understood := url.Values{}
	for _, option := range []struct{ name, unit string }{{"heartbeat", "of seconds "}, {"channel_max", ""}} {
		n, given, err := query.takeNumber(option.name, option.unit, 0, math.MaxUint16)
		if err != nil {
			return nil, err
		}
		if given {
			understood.Set(option.name, strconv.FormatInt(n, 10))
		}
	}
	t.heartbeat = understood.Get("heartbeat")
	if mechanism := query.Take("auth_mechanism", "login_method"); mechanism != "" {
		if !slices.Contains([]string{"PLAIN", "AMQPLAIN", "EXTERNAL"}, strings.ToUpper(mechanism)) {
			return nil, fmt.Errorf("auth_mechanism %q: it is plain, amqplain or external", mechanism)
		}
		understood.Set("auth_mechanism", mechanism)
	}
	if err := query.Rest(); err != nil {
		return nil, err
	}
	t.url = clientURL(u, understood)
	if _, err := amqp.ParseURI(t.url); err != nil {
		return nil, err // of an option's value: the URL itself is known to be good
	}
	return t, nil
}

// clientURL is u as amqp091-go wants it.
func clientURL(u *url.URL, query url.Values) string {
	c := *u
	c.Scheme = strings.TrimPrefix(c.Scheme, "py")
	c.RawQuery = query.Encode()
	return c.String()
}

// takeTimeout reads RabbitMQ's connection_timeout, in milliseconds, or Celery's connect_timeout, in seconds.
func takeTimeout(q Query) (time.Duration, error) {
	rabbit, err1 := q.TakeDuration("connection_timeout", time.Millisecond)
	celery, err2 := q.TakeDuration("connect_timeout", time.Second)
	if err := cmp.Or(err1, err2); err != nil {
		return 0, err
	}
	if rabbit > 0 && celery > 0 {
		return 0, errors.New("connection_timeout and connect_timeout exclude each other")
	}
	return rabbit + celery, nil
}

// Advise says what the URL should set, for whoever uses it, this process's own connections too.
func (t *Target) Advise() []string {
	if t.heartbeat != "0" {
		return nil
	}
	return []string{"broker URL: heartbeat=0 does not switch heartbeats off. RabbitMQ then sets its own 60 s, and a call to a broker " +
		"that is frozen or unreachable hangs for up to 90 s. Set heartbeat=10, or at least 1"}
}
