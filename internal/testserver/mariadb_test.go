package testserver_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/echo-probes/echohealth/internal/testserver"
)

// The tests of this module have no MySQL driver, so the client reads only the server's greeting.
type mariaDBUser struct{ *testserver.MariaDB }

func (u mariaDBUser) ask(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", u.Addr())
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })
	defer stop()
	greeting := make([]byte, 64)
	if _, err := io.ReadFull(conn, greeting); err != nil {
		return errors.Join(err, ctx.Err())
	}
	if !bytes.Contains(greeting, []byte("MariaDB")) {
		return errors.New("it is no MariaDB")
	}
	return nil
}

func (u mariaDBUser) store(t *testing.T) {
	t.Helper()
	u.Exec(t, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7);")
}

func (u mariaDBUser) stored(t *testing.T) bool {
	t.Helper()
	return u.Exec(t, "SELECT n FROM kept") == "7"
}

func TestMariaDBLifecycle(t *testing.T) {
	mariaDB := testserver.NewMariaDB(t)
	testLife(t, mariaDB, mariaDBUser{mariaDB})
}

func TestMariaDBOptions(t *testing.T) {
	mariaDB := testserver.NewMariaDB(t, "max_connections=12")
	assert.Equal(t, "12", mariaDB.Exec(t, "SELECT @@max_connections"))
	assert.Equal(t, "app:app-secret@tcp("+mariaDB.Addr()+")/app", mariaDB.DSN())
	assert.Equal(t, "app", mariaDB.Exec(t, "SELECT DATABASE()"))
}
