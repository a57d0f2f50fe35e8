package faults_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/echo-probes/echohealth/probes/amqpprobe"
	"github.com/echo-probes/echohealth/probes/celeryprobe"
)

// rabbitSite is a user and a vhost of a RabbitMQ server, with a consumer of Celery's queue.
type rabbitSite struct {
	*testserver.RabbitMQ
	user, vhost string
	cert        certificate
}

func openRabbit(s *scene) *rabbitSite {
	r := &rabbitSite{RabbitMQ: s.servers.rabbit, user: unique("faultuser"), vhost: unique("faultvhost"), cert: s.servers.cert}
	if s.broker != nil {
		r.RabbitMQ = s.broker
	}
	r.eval(s, `ok = rabbit_auth_backend_internal:add_user(<<%q>>, <<%q>>, <<"test">>), %s`, r.user, password, r.vhostAndPermission())
	r.consume(s)
	return r
}

func (r *rabbitSite) secrets() []string { return []string{r.user, r.vhost, r.cert.cert} }

func (r *rabbitSite) eval(s *scene, erlang string, args ...any) {
	if result := r.Eval(s.t, fmt.Sprintf(erlang, args...)); result != "ok" {
		s.t.Fatalf("%s: %s", erlang, result)
	}
}

func (r *rabbitSite) create(s *scene) {
	r.eval(s, "%s", r.vhostAndPermission())
	r.consume(s)
}

func (r *rabbitSite) vhostAndPermission() string {
	return fmt.Sprintf(`ok = rabbit_vhost:add(<<%q>>, <<"test">>), %s`, r.vhost, r.permission("set_permissions", `, <<".*">>, <<".*">>, <<".*">>`))
}

func (r *rabbitSite) permission(function, rights string) string {
	return fmt.Sprintf(`rabbit_auth_backend_internal:%s(<<%q>>, <<%q>>%s, <<"test">>)`, function, r.user, r.vhost, rights)
}

func (r *rabbitSite) grant(s *scene) {
	r.eval(s, "%s", r.permission("set_permissions", `, <<".*">>, <<".*">>, <<".*">>`))
}

func (r *rabbitSite) revoke(s *scene) { r.eval(s, "%s", r.permission("clear_permissions", "")) }

func (r *rabbitSite) drop(s *scene) { r.eval(s, `rabbit_vhost:delete(<<%q>>, <<"test">>)`, r.vhost) }

func (r *rabbitSite) setPassword(s *scene, word string) {
	r.eval(s, `rabbit_auth_backend_internal:change_password(<<%q>>, <<%q>>, <<"test">>)`, r.user, word)
}

// limit sets the maximum number of connections of the vhost. -1 means no limit.
func (r *rabbitSite) limit(s *scene, n int) {
	r.Ctl(s.t, "set_vhost_limits", "--vhost", r.vhost, `{"max-connections":`+strconv.Itoa(n)+`}`)
}

// alarm sets the memory alarm, and publishes, because the broker reports the alarm only to connections that
// publish.
func (r *rabbitSite) alarm(s *scene) {
	r.Ctl(s.t, "set_vm_memory_high_watermark", "absolute", "1")
	for _, rig := range s.rigs {
		if app, ok := rig.app.(*publisher); ok {
			s.must(app.publish(), "publish")
		}
	}
}

func (r *rabbitSite) allClear(s *scene) {
	r.Ctl(s.t, "set_vm_memory_high_watermark", "absolute", "1GB")
}

func (r *rabbitSite) url(addr string) *url.URL {
	return &url.URL{Scheme: "amqp", User: url.UserPassword(r.user, password), Host: addr, Path: r.vhost}
}

// consume starts a consumer, which the broker can't distinguish from a Celery worker. It is used if there is
// no real worker.
func (r *rabbitSite) consume(s *scene) {
	if s.fault.pings {
		return
	}
	conn, err := amqp.DialConfig(r.url(r.Addr()).String(), amqp.Config{Heartbeat: time.Minute})
	s.must(err, "connect a consumer")
	s.t.Cleanup(func() { _ = conn.CloseDeadline(time.Now().Add(time.Second)) })
	channel, err := conn.Channel()
	s.must(err, "open a consumer's channel")
	_, err = channel.QueueDeclare("celery", true, false, false, false, nil)
	s.must(err, "declare the queue")
	_, err = channel.Consume("celery", "", true, false, false, false, nil)
	s.must(err, "consume the queue")
}

func (r *rabbitSite) start(addr string, rig *rig) (application, error) {
	u := r.url(addr)
	if rig.scene.fault.tls {
		u.Scheme, u.RawQuery = "amqps", "cacertfile="+url.QueryEscape(r.cert.cert)
	}
	switch rig.column {
	case celeryAMQP:
		rig.probe = celeryprobe.New(u.String(), rig.celeryOptions()...)
		return nil, nil
	case amqpBroker:
		rig.probe = amqpprobe.New(u.String())
		return nil, nil
	}
	app := &publisher{url: u.String()}
	rig.probe = amqpprobe.FromConn(app.current)
	return app, nil
}

// publisher uses RabbitMQ through one connection. If the connection is closed when it is used, publisher
// makes a new one.
type publisher struct {
	url string

	mu   sync.Mutex // guards the fields below
	conn *amqp.Connection
	made int64
}

func (p *publisher) current() *amqp.Connection {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.conn
}

// connected returns the connection. If it is closed, connected makes a new one.
func (p *publisher) connected() (*amqp.Connection, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != nil && !p.conn.IsClosed() {
		return p.conn, nil
	}
	conn, err := amqp.DialConfig(p.url, amqp.Config{Heartbeat: time.Minute, Dial: func(network, addr string) (net.Conn, error) {
		return amqp.DefaultDial(2*time.Second)(network, addr)
	}})
	if err != nil {
		return nil, err
	}
	p.conn = conn
	p.made++
	return conn, nil
}

// use publishes to its own queue, and waits for the confirmation.
func (p *publisher) use(ctx context.Context) error {
	conn, err := p.connected()
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- confirmed(ctx, conn) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done(): // amqp091-go's calls do not end with ctx
		_ = conn.CloseDeadline(time.Now())
		return errors.Join(ctx.Err(), <-done)
	}
}

func confirmed(ctx context.Context, conn *amqp.Connection) error {
	channel, err := conn.Channel()
	if err != nil {
		return err
	}
	defer channel.Close()
	if err := channel.Confirm(false); err != nil {
		return err
	}
	queue, err := channel.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		return err
	}
	confirmation, err := channel.PublishWithDeferredConfirmWithContext(ctx, "", queue.Name, false, false, amqp.Publishing{})
	if err != nil {
		return err
	}
	_, err = confirmation.WaitContext(ctx)
	if err == nil {
		_, err = channel.QueueDelete(queue.Name, false, false, false)
	}
	return err
}

// publish publishes without a consumer until the broker blocks the connection. The broker blocks a connection
// only when it publishes after the alarm has reached it, which takes a moment.
func (p *publisher) publish() error {
	conn := p.current()
	blocked := conn.NotifyBlocked(make(chan amqp.Blocking, 16))
	channel, err := conn.Channel()
	if err != nil {
		return err
	}
	for start := time.Now(); time.Since(start) < time.Minute; {
		if err := channel.PublishWithContext(context.Background(), "", "nowhere", false, false, amqp.Publishing{}); err != nil {
			return err
		}
		select {
		case <-blocked:
			return nil
		case <-time.After(10 * time.Millisecond):
		}
	}
	return errors.New("the broker does not block the connection")
}

func (p *publisher) hold(context.Context) (func(), error) { return nil, errors.New("it has no pool") }

func (p *publisher) pool() (connections, busy int, made int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.conn != nil && !p.conn.IsClosed() {
		connections = 1
	}
	return connections, 0, p.made
}

func (p *publisher) close() {
	if conn := p.current(); conn != nil {
		_ = conn.CloseDeadline(time.Now().Add(time.Second))
	}
}
