package pgxprobe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/echo-probes/echohealth/probes"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
)

// dialPause is the minimum time between the starts of two dials if the first one failed and its error is not
// repeatable.
const dialPause = 10 * time.Second

// ownConn is a connection outside the pool, made as the pool makes its connections. At most one goroutine
// uses it at a time.
type ownConn struct {
	config *pgxpool.Config
	query  query
	now    func() time.Time

	conn      *pgx.Conn // nil if there is none
	failed    error     // error of the last dial; nil if it succeeded
	redial    time.Time // after a failed dial, no dial before this time
	connected bool      // a dial has succeeded, so the hooks of a new connection accept a check's context
}

// ask sends the query, and dials first if there is no connection. If a kept connection turns out to be
// closed, ask replaces it and sends the query again.
func (o *ownConn) ask(ctx context.Context) (readOnly bool, err error) {
	if o.conn != nil {
		readOnly, err := o.roundTrip(ctx)
		if !connectionLost(err) || ctx.Err() != nil {
			return readOnly, err
		}
		o.close()
	}
	if err := o.dial(ctx); err != nil {
		return false, err
	}
	return o.roundTrip(ctx)
}

func (o *ownConn) roundTrip(ctx context.Context) (readOnly bool, err error) {
	readOnly, err = o.query.ask(ctx, o.conn)
	if o.conn.IsClosed() {
		o.close()
	}
	return readOnly, err
}

// dial connects. If a dial failed less than dialPause ago, it returns the error of that dial instead.
func (o *ownConn) dial(ctx context.Context) error {
	began := o.now()
	if o.failed != nil && began.Before(o.redial) {
		return fmt.Errorf("the last attempt to connect, less than %s ago, failed: %w", dialPause, o.failed)
	}
	o.conn, o.failed = connectSafely(ctx, o.config)
	o.redial = began
	if o.failed != nil && !repeatable(o.failed) {
		o.redial = began.Add(dialPause)
	}
	o.connected = o.connected || o.failed == nil
	return o.failed
}

// connectSafely calls connect and returns a panic of a hook as an error.
func connectSafely(ctx context.Context, pool *pgxpool.Config) (conn *pgx.Conn, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = probes.Fail(probes.ReasonPanic, fmt.Errorf("a hook of the pool panicked when the probe connected "+
				"(pgxprobe.BaseContext gives a hook the values that it needs): %v\n%s", v, debug.Stack()))
		}
	}()
	return connect(ctx, pool)
}

// connect makes a connection as the pool does.
func connect(ctx context.Context, pool *pgxpool.Config) (*pgx.Conn, error) {
	config := pool.ConnConfig.Copy()
	if hook := pool.BeforeConnect; hook != nil {
		if err := hook(ctx, config); err != nil {
			return nil, err
		}
	}
	socket := adaptConfig(config)
	defer socket.closeUnlessUsed()
	shareTime(ctx, config)
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	socket.connected.Store(true)
	if hook := pool.AfterConnect; hook != nil {
		if err := hook(ctx, conn); err != nil {
			closeConn(conn)
			return nil, err
		}
	}
	socket.used = true
	return conn, nil
}

// close closes the connection, if there is one, within a second.
func (o *ownConn) close() {
	if o.conn == nil {
		return
	}
	conn := o.conn
	o.conn = nil
	discard(o.config, conn)
}

// discard closes a connection made by connect, as the pool closes its connections.
func discard(pool *pgxpool.Config, conn *pgx.Conn) {
	defer closeConn(conn) // also if the hook panics
	if hook := pool.BeforeClose; hook != nil {
		hook(conn)
	}
}

// closeConn closes conn and its socket. If pgx has closed conn already, the socket may still be open, because
// pgx waits for the server to close its side.
func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	conn.Close(ctx)
	conn.PgConn().Conn().Close()
}

// socket is the last one that was dialed for a connection.
type socket struct {
	connected atomic.Bool // the connection is made; all further dials for it must fail
	used      bool        // connect returns the connection

	mu   sync.Mutex // guards conn, because pgx may also dial in another goroutine, to cancel a query
	conn net.Conn   // nil if no dial has succeeded
}

func (s *socket) set(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = conn
}

// closeUnlessUsed closes the socket if no connection that uses it is returned. pgx closes the socket itself
// after an error, but not after a panic of a hook.
func (s *socket) closeUnlessUsed() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.used && s.conn != nil {
		s.conn.Close()
	}
}

// adaptConfig changes config for a connection of the probe.
func adaptConfig(config *pgx.ConnConfig) *socket {
	const name = "application_name"
	if config.RuntimeParams[name] == "" {
		config.RuntimeParams[name] = "echohealth"
	}
	config.BuildContextWatcherHandler = func(conn *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.DeadlineContextWatcherHandler{Conn: conn.Conn()}
	}
	// If a query gets no answer, pgx dials again for up to 15 s to cancel the query. The probe prevents this
	// dial, because its query does no work that must be canceled.
	s := new(socket)
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if s.connected.Load() {
			return nil, errors.New("pgxprobe cancels no query")
		}
		conn, err := dial(ctx, network, address)
		if err == nil {
			s.set(conn)
		}
		return conn, err
	}
	return s
}

// shareTime sets config.ConnectTimeout, which is the time that pgx has for each address. All addresses of all
// hosts share dialPause, so that an address without an answer leaves time for the next. A dial may last for
// all of dialPause. The next dial is then due, so the probe notices immediately when the database is back. To
// count the addresses, shareTime looks up the hosts, and pgx reuses the results.
func shareTime(ctx context.Context, config *pgx.ConnConfig) {
	config.LookupFunc = once(config.LookupFunc)
	limit := dialPause
	n := addresses(ctx, config)
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	config.ConnectTimeout = max(limit/time.Duration(max(n, 1)), 1) // 0 would mean no limit
}

// once returns a function that calls lookUp only once for each host and keeps the result.
func once(lookUp pgconn.LookupFunc) pgconn.LookupFunc {
	type found struct {
		host string
		ips  []string
		err  error
	}
	var hosts []found
	return func(ctx context.Context, host string) ([]string, error) {
		for _, h := range hosts {
			if h.host == host {
				return h.ips, h.err
			}
		}
		ips, err := lookUp(ctx, host)
		hosts = append(hosts, found{host, ips, err})
		return ips, err
	}
}

// addresses counts the addresses that pgx tries in order. It does not count an address that equals the one
// before it, such as a fallback to the same host without TLS, because pgx gives such an address no further
// time.
func addresses(ctx context.Context, config *pgx.ConnConfig) int {
	n, last := 0, ""
	try := func(host string, port uint16) {
		ips := []string{host}
		if network, _ := pgconn.NetworkAddress(host, port); network != "unix" {
			ips, _ = config.LookupFunc(ctx, host)
		}
		for _, ip := range ips {
			if _, address := pgconn.NetworkAddress(ip, port); address != last {
				n, last = n+1, address
			}
		}
	}
	try(config.Host, config.Port)
	for _, fallback := range config.Fallbacks {
		try(fallback.Host, fallback.Port)
	}
	return n
}
