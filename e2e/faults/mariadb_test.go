package faults_test

import (
	"crypto/tls"
	"database/sql/driver"
	"fmt"
	"net"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/echo-probes/echohealth/internal/testserver"
)

// mariaSite is a user and a database of a MariaDB server.
type mariaSite struct {
	*testserver.MariaDB
	user, database string
	cert           certificate

	hogs []driver.Conn // connections that use up the server's limit
}

func openMariaDB(s *scene) *mariaSite {
	m := &mariaSite{MariaDB: s.servers.mariaDB, cert: s.servers.cert,
		user: unique("faultuser"), database: unique("faultdb")}
	switch {
	case s.fault.tls:
		m.MariaDB = s.servers.mariaDBTLS
	case s.act.private:
		m.MariaDB = testserver.NewMariaDB(s.t, s.act.settings...)
	}
	m.exec(s, "CREATE USER %s IDENTIFIED BY '%s'", m.user, password)
	m.create(s)
	m.grant(s)
	return m
}

func (m *mariaSite) secrets() []string { return []string{m.user, m.database, m.cert.cert} }

func (m *mariaSite) exec(s *scene, statement string, args ...any) {
	m.Exec(s.t, fmt.Sprintf(statement, args...))
}

func (m *mariaSite) create(s *scene) { m.exec(s, "CREATE DATABASE %s", m.database) }

// drop also ends the sessions, because they would outlive their database.
func (m *mariaSite) drop(s *scene) {
	m.exec(s, "DROP DATABASE %s", m.database)
	s.reset()
}

func (m *mariaSite) setPassword(s *scene, word string) {
	m.exec(s, "ALTER USER %s IDENTIFIED BY '%s'", m.user, word)
}

func (m *mariaSite) grant(s *scene) { m.exec(s, "GRANT ALL ON %s.* TO %s", m.database, m.user) }

func (m *mariaSite) revoke(s *scene) { m.exec(s, "REVOKE ALL ON %s.* FROM %s", m.database, m.user) }

func (m *mariaSite) set(s *scene, variable, value string) {
	m.exec(s, "SET GLOBAL %s = %s", variable, value)
}

// useUp opens all connections that the server allows to users other than administrators.
func (m *mariaSite) useUp(s *scene) {
	s.proxies((*testserver.Proxy).Refuse)
	connector, err := mysql.NewConnector(m.config(m.Addr()))
	s.must(err, "a connector")
	// The server takes a moment to close the connections that were reset.
	for refused := 0; refused < 50; {
		conn, err := connector.Connect(s.t.Context())
		if err == nil {
			m.hogs, refused = append(m.hogs, conn), 0
			continue
		}
		refused++
		time.Sleep(10 * time.Millisecond)
	}
	s.proxies(pass)
}

func (m *mariaSite) giveBack(s *scene) {
	for _, conn := range m.hogs {
		s.must(conn.Close(), "close a connection")
	}
}

func (m *mariaSite) config(addr string) *mysql.Config {
	config := mysql.NewConfig()
	config.User, config.Passwd, config.DBName = m.user, password, m.database
	config.Net, config.Addr, config.Timeout = "tcp", addr, 2*time.Second
	config.Logger = &mysql.NopLogger{}
	return config
}

func (m *mariaSite) start(addr string, r *rig) (application, error) {
	config := m.config(addr)
	if r.scene.fault.tls {
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		config.TLS = &tls.Config{RootCAs: m.cert.roots, ServerName: host}
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, err
	}
	return startSQL(connector, r), nil
}
