package amqpconn

import (
	"errors"
	"sync"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Each calls f with each number from 0 to n-1. It makes the calls concurrently on the given number of
// channels, because a channel can have only one call in progress. The channels stay open for later use. n and
// channels must be at least 1. The connection's limit of channels may be lower, but must not be 0. After the
// first error of f, Each begins no further call.
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
	if next.Load() < int64(n) { // the broker allowed no channel
		return amqp.ErrChannelMax
	}
	return nil
}

// over calls f on the kept channel i until next reaches n. After an error no further call begins on any
// channel. If the connection's limit of channels is reached, over returns nil, and the goroutines that have a
// channel make the remaining calls.
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

// mostTelling returns the first error that the broker sent, or else the first error. When the broker closes
// the connection, only some calls get the broker's error. The others get an error that says that the
// connection is closed.
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
