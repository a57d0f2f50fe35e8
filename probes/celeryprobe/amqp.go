package celeryprobe

import (
	"context"

	"github.com/echo-probes/echohealth/internal/amqpconn"
)

// amqpBroker is RabbitMQ.
type amqpBroker struct {
	target   *amqpconn.Target
	conn     *amqpconn.Conn
	exchange string  // Celery's control_exchange
	box      mailbox // guarded by the probe's sem
}

func (b *amqpBroker) depths(ctx context.Context, names []string) ([]depth, error) {
	var depths []depth
	err := b.conn.Do(ctx, func(_ context.Context, s *amqpconn.Session) error {
		depths = depths[:0]
		for _, name := range names {
			d, err := amqpDepth(s, name)
			if err != nil {
				return err
			}
			depths = append(depths, d)
		}
		return nil
	})
	return depths, err
}

// amqpDepth measures one queue. A passive declaration changes nothing and needs no permission.
func amqpDepth(s *amqpconn.Session, name string) (depth, error) {
	ch, err := s.Channel()
	if err != nil {
		return depth{}, err
	}
	q, err := ch.QueueDeclarePassive(name, false, false, false, false, nil)
	if amqpconn.IsNotFound(err) {
		return depth{queue: name, missing: true}, nil
	}
	return depth{queue: name, pending: q.Messages, consumers: q.Consumers}, err
}

func (b *amqpBroker) connect(ctx context.Context) error { return b.target.Try(ctx) }

func (b *amqpBroker) advise() []string { return b.target.Advise() }

func (b *amqpBroker) Close() error { return b.conn.Close() }
