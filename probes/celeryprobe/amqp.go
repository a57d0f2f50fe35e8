package celeryprobe

import (
	"context"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/echo-probes/echohealth/internal/amqpconn"
	"github.com/echo-probes/echohealth/probes"
)

// amqpBroker is RabbitMQ as a broker of Celery.
type amqpBroker struct {
	target   *amqpconn.Target
	conn     *amqpconn.Conn
	exchange string  // Celery's control_exchange
	box      mailbox // guarded by Probe.turn

	answering  int  // position in a failover list, 0 if there is none; guarded by Probe.turn
	oneChannel bool // the limit of channels was reached, so one must do; guarded by Probe.turn
}

func (b *amqpBroker) depths(ctx context.Context, names []string) ([]depth, error) {
	depths := make([]depth, len(names))
	measure := func(_ context.Context, s *amqpconn.Session) error {
		b.answering = s.Broker()
		return s.Each(len(names), b.channels(len(names)), func(ch *amqp.Channel, i int) (err error) {
			depths[i], err = amqpDepth(ch, names[i])
			return err
		})
	}
	err := b.conn.Do(ctx, measure)
	if b.channels(len(names)) > 1 && amqpconn.IsChannelLimit(err) {
		b.oneChannel = true // for all later checks too
		err = b.conn.Do(ctx, measure)
	}
	return depths, err
}

const (
	// queuesPerChannel is how many queues are measured one after the other on one channel, because a second
	// channel costs the broker more than a few round trips.
	queuesPerChannel = 8

	maxChannels = 8
)

// channels returns over how many channels to measure this number of queues.
func (b *amqpBroker) channels(queues int) int {
	if b.oneChannel {
		return 1
	}
	return min((queues+queuesPerChannel-1)/queuesPerChannel, maxChannels)
}

// amqpDepth measures one queue by a passive declaration, which changes nothing.
func amqpDepth(ch *amqp.Channel, name string) (depth, error) {
	q, err := ch.QueueDeclarePassive(name, false, false, false, false, nil)
	if amqpconn.Refused(err) {
		return refusedDepth(name, err), nil
	}
	return depth{queue: name, pending: q.Messages, consumers: q.Consumers}, err
}

// refusedDepth returns the state of a queue that the broker refused to measure with err.
func refusedDepth(name string, err error) depth {
	switch {
	case amqpconn.IsNotFound(err):
		return depth{queue: name, missing: true}
	case amqpconn.IsLocked(err): // the queue exists, but the broker reports its figures only to the owner
		return depth{queue: name, pending: unknown, consumers: unknown}
	}
	err = probes.Fail(amqpconn.Reason(err), err)
	return depth{queue: name, refused: err, pending: unknown, consumers: unknown}
}

func (b *amqpBroker) place() int { return b.answering }

func (b *amqpBroker) connect(ctx context.Context) error { return b.target.Try(ctx) }

func (b *amqpBroker) advise() []string { return b.target.Advise() }

func (b *amqpBroker) Close() error { return b.conn.Close() }
