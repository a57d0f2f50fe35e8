package amqpprobe

import (
	"errors"
	"fmt"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/echo-probes/echohealth/probes"
)

// Channel makes the check watch a channel of the application as well: an Error with connection_lost while it
// is closed, with the broker's reason in the log. A broker closes a channel over which it was asked for
// something impossible, and the connection stays open. The check calls current, which may return another
// channel later, and nil while there is none. It must return fast and be safe for concurrent use. Until it
// has returned a channel, the check is a Warning with dependency_starting for 30 s, as for a connection.
//
// The probe sends nothing over the channel. One goroutine per channel waits for its end. A nil function is
// an error. Each use adds a channel.
func Channel(current func() *amqp.Channel) ConnOption {
	return func(p *ConnProbe) error {
		if current == nil {
			return errors.New("amqpprobe.Channel(nil): the function must not be nil")
		}
		p.channels = append(p.channels, &channelProbe{current: current})
		return nil
	}
}

// channelProbe checks a channel of the application.
type channelProbe struct {
	current func() *amqp.Channel

	mu       sync.Mutex // guards the rest
	presence presence
	watch    *channelWatch // of the last channel
}

// check returns why the application can't use its channel, or nil.
func (p *channelProbe) check() error {
	ch := p.current()
	p.mu.Lock()
	defer p.mu.Unlock()
	if ch == nil {
		return p.presence.absent("channel")
	}
	p.presence.had = true
	if p.watch == nil || p.watch.ch != ch {
		p.watch = newChannelWatch(ch)
	}
	return p.watch.err()
}

// channelWatch is the state of a channel since a check first saw it.
type channelWatch struct {
	ch *amqp.Channel

	mu    sync.Mutex // guards the rest
	cause *amqp.Error
}

// newChannelWatch watches ch until it is closed and not recovered.
func newChannelWatch(ch *amqp.Channel) *channelWatch {
	w := &channelWatch{ch: ch}
	closes := ch.NotifyClose(make(chan *amqp.Error, 1))
	go func() {
		for cause := range closes {
			w.mu.Lock()
			w.cause = cause
			w.mu.Unlock()
		}
	}()
	return w
}

// err returns why the channel is closed, or nil while it is open.
func (w *channelWatch) err() error {
	if !w.ch.IsClosed() {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	const text = "the application's channel is closed"
	if w.cause == nil {
		return probes.Fail(probes.ReasonConnectionLost, errors.New(text))
	}
	return probes.Fail(probes.ReasonConnectionLost, fmt.Errorf("%s: %w", text, w.cause))
}
