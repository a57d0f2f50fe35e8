package amqpprobe

import (
	"errors"
	"fmt"
	"sync"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/echo-probes/echohealth/probes"
)

// Channel makes the check watch a channel of the application too. If the channel is closed, the check is an
// Error with connection_lost, and the log contains the broker's reason. A broker closes a channel after an
// invalid request, and leaves the connection open.
//
// The check calls current, which may return another channel later, and nil if there is none. The function
// must return fast and be safe for concurrent use. Until it has returned a channel, the check is a Warning
// with dependency_starting. After 30 s from the first check it is an Error with connection_lost.
//
// The probe sends nothing over the channel. One goroutine per channel waits until the channel is closed. A
// nil function is an error. Each use adds a channel.
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

	mu       sync.Mutex // guards the fields below
	presence presence
	watch    *channelWatch // watches the channel that current returned last
}

// check returns why the application can't use its channel, or nil if it can.
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

	mu    sync.Mutex // guards cause
	cause *amqp.Error
}

// newChannelWatch watches ch until it is closed and amqp091-go does not recover it.
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

// err returns why the channel is closed, or nil if it is open.
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
