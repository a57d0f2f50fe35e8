package celeryprobe

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/echo-probes/echohealth/internal/amqpconn"
)

// mailbox is the queue for workers' answers. It is exclusive to its connection. So the broker deletes the
// queue when the connection ends, even if the process crashes.
type mailbox struct {
	session *amqpconn.Session // owner of the queue
	id      string
	channel *amqp.Channel // if it is nil or closed, openMailbox sets it up
	replies <-chan amqp.Delivery
	returns <-chan amqp.Return
	closes  <-chan *amqp.Error
}

// prefetch bounds how many answers the broker sends to this process before a check reads them.
const prefetch = 100

func (b *amqpBroker) call(ctx context.Context, method string, a *answers) error {
	return b.conn.Do(ctx, func(ctx context.Context, s *amqpconn.Session) error {
		if a.sent {
			return nil // a second attempt, because the connection was lost, and the answers too
		}
		err := b.ping(ctx, s, method, a)
		if amqpconn.Rejected(err) {
			return fmt.Errorf("%w: %w", errPingRefused, err)
		}
		return err
	})
}

func (b *amqpBroker) ping(ctx context.Context, s *amqpconn.Session, method string, a *answers) error {
	exists, err := exchangeExists(s, b.exchange+".pidbox")
	if err != nil {
		return err
	}
	if !exists { // no worker has connected since the broker started
		a.reached, a.complete = 0, true
		return nil
	}
	if err := b.openMailbox(s); err != nil {
		return err
	}
	return b.ask(ctx, s, method, a)
}

// ask sends the command and collects the answers. It must be the last use of a connection in a check, because
// the broker blocks a connection that publishes during an alarm. Later calls would get no answer.
func (b *amqpBroker) ask(ctx context.Context, s *amqpconn.Session, method string, a *answers) error {
	if err := b.box.drain(func(reply) {}); err != nil { // discard old answers
		return err
	}
	c := newCommand(method, replyTo{Exchange: b.replyExchange(), RoutingKey: b.box.id})
	err := b.box.channel.PublishWithContext(ctx, b.exchange+".pidbox", "", true, false, amqp.Publishing{
		ContentType: "application/json", ContentEncoding: "utf-8", Headers: headers(),
		DeliveryMode: amqp.Transient, Body: c.body(),
	})
	if err != nil {
		return err
	}
	a.sent = true
	if err := b.box.collect(ctx, s, a); err != nil {
		return err
	}
	a.complete = true
	if !a.enough() {
		b.countSharing(s, a)
	}
	return nil
}

// maxMailboxes is for how many names countSharing asks the broker, which bounds its time.
const maxMailboxes = 20

// countSharing counts the workers of each name. Workers with the same name consume from the same queue, so
// each ping reaches only one of them.
func (b *amqpBroker) countSharing(s *amqpconn.Session, a *answers) {
	for i, name := range slices.Sorted(maps.Keys(a.tickets)) {
		ch, err := s.Channel()
		if err != nil || i == maxMailboxes {
			return
		}
		q, err := ch.QueueDeclarePassive(name+"."+b.exchange+".pidbox", false, true, false, false, nil)
		if err == nil { // a refusal is ignored, because the queue may be exclusive to one worker
			a.sharing[name] = q.Consumers
		}
	}
}

// collect reads answers until there are enough or answerTime is over.
func (box *mailbox) collect(ctx context.Context, s *amqpconn.Session, a *answers) error {
	over := time.After(answerTime)
	for !a.enough() {
		select {
		case d, open := <-box.replies:
			if !open {
				return box.failure(a)
			}
			if err := receive(d, a.add); err != nil {
				return err
			}
		case _, open := <-box.returns: // the broker returned the command, because no worker is bound
			if open {
				a.reached = 0
			}
		case blocking := <-s.Blocks():
			if err := s.SetBlocked(blocking); err != nil {
				return err
			}
		case <-over:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// failure returns why no more answers arrive. Usually the broker has closed the channel because it refused
// the command.
func (box *mailbox) failure(a *answers) error {
	select {
	case err, open := <-box.closes:
		if open {
			if amqpconn.Refused(err) {
				a.reached = 0
			}
			return err
		}
	default: // the channel is open, but its queue was deleted
	}
	return amqp.ErrClosed
}

// lateAnswers reads the answers that have arrived since the last check.
func (b *amqpBroker) lateAnswers(ctx context.Context, add func(reply)) error {
	return b.conn.Do(ctx, func(_ context.Context, s *amqpconn.Session) error {
		if b.box.session != s {
			return nil
		}
		return b.box.drain(add)
	})
}

// drain reads all messages that are in the mailbox, and does not wait for more.
func (box *mailbox) drain(add func(reply)) error {
	for {
		select {
		case d, open := <-box.replies:
			if !open {
				return nil // the next command returns the cause
			}
			if err := receive(d, add); err != nil {
				return err
			}
		case _, open := <-box.returns:
			if !open {
				return nil
			}
		default:
			return nil
		}
	}
}

func receive(d amqp.Delivery, add func(reply)) error {
	ticket, _ := d.Headers["ticket"].(string)
	if r, ok := newReply(ticket, d.Body); ok {
		add(r)
	}
	return d.Ack(false)
}

// exchangeExists reports whether the exchange exists. It uses a passive declaration, which changes nothing
// and needs no permission.
func exchangeExists(s *amqpconn.Session, name string) (bool, error) {
	ch, err := s.Channel()
	if err != nil {
		return false, err
	}
	err = ch.ExchangeDeclarePassive(name, amqp.ExchangeFanout, false, false, false, false, nil)
	if amqpconn.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err
}

// openMailbox sets up the mailbox, unless it exists from an earlier ping over the same connection. The queue
// keeps its name as long as the connection lasts, so that repeated failures do not leave several queues
// behind.
func (b *amqpBroker) openMailbox(s *amqpconn.Session) error {
	if b.box.session != s {
		b.box = mailbox{session: s, id: newID()}
	}
	if b.box.channel != nil && !b.box.channel.IsClosed() {
		return nil
	}
	err := b.setUp(s, false)
	if amqpconn.IsNotFound(err) { // declare the missing exchange for answers
		err = b.setUp(s, true)
	}
	return err
}

func (b *amqpBroker) setUp(s *amqpconn.Session, declare bool) error {
	ch, err := s.NewChannel()
	if err != nil {
		return err
	}
	if declare { // every worker and every "celery inspect" declares it too
		err := ch.ExchangeDeclare(b.replyExchange(), amqp.ExchangeDirect, false, false, false, false, nil)
		if err != nil {
			return err
		}
	}
	queue := b.box.id + "." + b.replyExchange()
	if _, err := ch.QueueDeclare(queue, false, true, true, false, nil); err != nil {
		return err
	}
	if err := ch.QueueBind(queue, b.box.id, b.replyExchange(), false, nil); err != nil {
		return err
	}
	if err := ch.Qos(prefetch, 0, false); err != nil {
		return err
	}
	b.box.returns = ch.NotifyReturn(make(chan amqp.Return, 1))
	b.box.closes = ch.NotifyClose(make(chan *amqp.Error, 1))
	if b.box.replies, err = ch.Consume(queue, "echohealth", false, true, false, false, nil); err != nil {
		return err
	}
	b.box.channel = ch
	return nil
}

func (b *amqpBroker) replyExchange() string { return "reply." + b.exchange + ".pidbox" }
