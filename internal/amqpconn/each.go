package amqpconn

import (
	"errors"
	"sync"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Each calls f with each number from 0 to n-1. It makes the calls concurrently on the given number of
// channels, because a channel can have only one call in progress. The channels stay open for later use. n and
// channels must be at least 1. If the connection's limit of channels is lower, Each uses fewer. After the
// first error of f, Each begins no further call.
func (s *Session) Each(n, channels int, f func(*amqp.Channel, int) error) error {
	channels, err := s.open(min(n, channels))
	if err != nil {
		return err
	}
	var next atomic.Int64
	var running sync.WaitGroup
	errs := make([]error, channels)
	for i := 1; i < channels; i++ {
		running.Go(func() { errs[i] = s.over(i, &next, n, f) })
	}
	errs[0] = s.over(0, &next, n, f)
	running.Wait()
	return mostTelling(errs)
}

// open opens the kept channels from 0 to n-1 and returns how many are open. It opens them one after the
// other. If the broker closes the connection because of a limit, a concurrent write could fail on the closed
// socket, and that error would replace the broker's.
func (s *Session) open(n int) (int, error) {
	s.makeRoom(n)
	for i := range n {
		_, err := s.channel(i)
		if i > 0 && errors.Is(err, amqp.ErrChannelMax) {
			return i, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return n, nil
}

// over calls f on the kept channel i until next reaches n. After an error no further call begins on any
// channel.
func (s *Session) over(
	i int, next *atomic.Int64, n int, f func(*amqp.Channel, int) error,
) (err error) {
	defer func() {
		if err != nil {
			next.Store(int64(n))
		}
	}()
	for {
		at := int(next.Add(1)) - 1
		if at >= n {
			return nil
		}
		ch, err := s.channel(i)
		if err != nil {
			return err
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
