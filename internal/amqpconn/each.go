package amqpconn

import (
	"errors"
	"sync"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Each calls f with 0 to n-1, over so many kept channels at once, because a channel has one call under way
// at a time. Both must be at least 1. The connection may allow fewer channels, but must allow one. The first
// error of f ends it.
func (s *Session) Each(n, channels int, f func(*amqp.Channel, int) error) error {
	channels = min(n, channels)
	s.makeRoom(channels)
	var next atomic.Int64
	var running sync.WaitGroup
	errs := make([]error, channels)
	for i := 1; i < channels; i++ {
		running.Go(func() { errs[i] = s.over(i, &next, n, f) })
	}
	errs[0] = s.over(0, &next, n, f)
	running.Wait()
	if err := mostTelling(errs); err != nil {
		return err
	}
	if next.Load() < int64(n) { // no channel at all could be opened
		return amqp.ErrChannelMax
	}
	return nil
}

// over calls f over the kept channel i until next reaches n. After an error it lets no other call begin. If
// the connection allows no further channel, those who have one make the calls.
func (s *Session) over(
	i int, next *atomic.Int64, n int, f func(*amqp.Channel, int) error,
) (err error) {
	defer func() {
		if err != nil {
			next.Store(int64(n))
		}
	}()
	for {
		ch, err := s.channel(i)
		if errors.Is(err, amqp.ErrChannelMax) {
			return nil
		}
		if err != nil {
			return err
		}
		at := int(next.Add(1)) - 1
		if at >= n {
			return nil
		}
		if err := f(ch, at); err != nil {
			return err
		}
	}
}

// mostTelling returns the first error that the broker sent, or else the first one. When the broker closes
// the connection, some calls learn why, and others only that it is closed.
func mostTelling(errs []error) error {
	var first error
	for _, err := range errs {
		if serverCode(err) != 0 {
			return err
		}
		if first == nil {
			first = err
		}
	}
	return first
}
