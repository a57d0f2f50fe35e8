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

// broker is the address of a broker and the settings of the connections to it.
type broker struct {
	url       string        // the URL for amqp091-go, with only the options that it knows
	tls       *tls.Config   // nil without TLS
	timeout   time.Duration // limits connecting and logging in; 0: only the call's context does
	heartbeat string        // as in the URL, "" if absent
}

// defaultHeartbeat has the effect that a dead broker behind an idle connection is detected after 15 s.
const defaultHeartbeat = 10 * time.Second

func newBroker(u *url.URL, query Query, custom *tls.Config) (*broker, error) {
	var err error
	b := &broker{}
	if b.tls, err = TakeTLS(query, u.Scheme == "amqps", custom); err != nil {
		return nil, err
	}
	if b.timeout, err = takeTimeout(query); err != nil {
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
	b.heartbeat = understood.Get("heartbeat")
	if mechanism := query.Take("auth_mechanism", "login_method"); mechanism != "" {
		if !slices.Contains([]string{"PLAIN", "AMQPLAIN", "EXTERNAL"}, strings.ToUpper(mechanism)) {
			return nil, fmt.Errorf("auth_mechanism %q: it must be plain, amqplain or external", mechanism)
		}
		understood.Set("auth_mechanism", mechanism)
	}
	if err := query.Rest(); err != nil {
		return nil, err
	}
	b.url = clientURL(u, understood)
	if _, err := amqp.ParseURI(b.url); err != nil {
		return nil, err // the URL was parsed before, and so an option's value is invalid
	}
	return b, nil
}

// clientURL returns u in the form that amqp091-go accepts, with query as the query.
func clientURL(u *url.URL, query url.Values) string {
	c := *u
	if c.Scheme != "amqps" {
		c.Scheme = "amqp" // the schemes pyamqp and librabbitmq are Celery's
	}
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

// advise returns advice on the broker's URL. If the application uses the same URL for its own connections,
// the advice applies to these as well.
func (b *broker) advise() []string {
	if b.heartbeat != "0" {
		return nil
	}
	return []string{"broker URL: heartbeat=0 does not switch heartbeats off. RabbitMQ then sets its own 60 s, " +
		"and a call to a broker that is frozen or unreachable hangs for up to 90 s. Set heartbeat=10, " +
		"or at least 1"}
}
