package faults_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/echo-probes/echohealth/internal/testserver"
)

// kind is a kind of server.
type kind string

const (
	postgreSQL  kind = "PostgreSQL"
	pgBouncer   kind = "PgBouncer"
	mariaDB     kind = "MariaDB"
	sqliteFile  kind = "SQLite"
	redisServer kind = "Redis"
	rabbitMQ    kind = "RabbitMQ"
)

// column is a dependency of a service: a probe, and the server that it checks.
type column string

const (
	pgx           column = "pgxprobe"
	pgxPooler     column = "pgxprobe, PgBouncer"
	sqlDB         column = "sqlprobe, PostgreSQL"
	sqlMariaDB    column = "sqlprobe, MariaDB"
	sqlSQLite     column = "sqlprobe, SQLite"
	redisKV       column = "redisprobe"
	amqpBroker    column = "amqpprobe"
	amqpPublisher column = "FromConn"
	celeryAMQP    column = "celeryprobe, RabbitMQ"
	celeryRedis   column = "celeryprobe, Redis"
)

var columns = []column{pgx, pgxPooler, sqlDB, sqlMariaDB, sqlSQLite, redisKV, amqpBroker, amqpPublisher, celeryAMQP, celeryRedis}

func (c column) kind() kind {
	switch c {
	case pgx, sqlDB:
		return postgreSQL
	case pgxPooler:
		return pgBouncer
	case sqlMariaDB:
		return mariaDB
	case sqlSQLite:
		return sqliteFile
	case redisKV, celeryRedis:
		return redisServer
	}
	return rabbitMQ
}

// recovery returns the maximum time until a check is ok after the fault. In this time the last result
// expires, the hanging run ends, and one more run ends. A run hangs for at most 5 s. pgxprobe waits 10 s
// between failing dials, and ends a hanging dial after 10 s. sqlprobe ends a hanging query after 10 s.
func (c column) recovery() time.Duration {
	const hangs, gap = 5 * time.Second, 10 * time.Second
	switch c.kind() {
	case postgreSQL, pgBouncer, mariaDB, sqliteFile:
		return freshness + gap + timeout
	}
	return freshness + hangs + timeout
}

// servers are the servers that the scenes share.
type servers struct {
	postgres    *testserver.Postgres
	postgresTLS *testserver.Postgres // accepts only connections with TLS, except from the tests' superuser
	mariaDB     *testserver.MariaDB
	mariaDBTLS  *testserver.MariaDB // accepts only connections with TLS
	rabbit      *testserver.RabbitMQ
	rabbitTLS   string // the address with TLS
	cert        certificate

	private chan *testserver.RabbitMQ // two brokers, each for one scene at a time
	copying sync.Mutex                // held during the copy of a database
}

// startServers starts the servers before any measurement.
func startServers(t *testing.T) *servers {
	s := &servers{cert: newCertificate(t), private: make(chan *testserver.RabbitMQ, 2)}
	port := testserver.FreePort(t)
	s.rabbitTLS = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	s.postgres = testserver.NewPostgres(t, "max_connections=200")
	s.postgresTLS = testserver.NewPostgres(t, "ssl=on", "ssl_cert_file="+s.cert.cert, "ssl_key_file="+s.cert.postgresKey, "hba_file="+s.cert.onlyTLS)
	s.mariaDB = testserver.NewMariaDB(t)
	s.mariaDBTLS = testserver.NewMariaDB(t, "ssl_cert="+s.cert.cert, "ssl_key="+s.cert.key, "require_secure_transport=ON")
	s.rabbit = testserver.NewRabbitMQ(t, "listeners.ssl.1 = "+s.rabbitTLS, "ssl_options.cacertfile = "+s.cert.cert,
		"ssl_options.certfile = "+s.cert.cert, "ssl_options.keyfile = "+s.cert.key)
	for range cap(s.private) {
		s.private <- testserver.NewRabbitMQ(t)
	}
	return s
}

var scenes atomic.Int64

// unique makes name unique among all scenes.
func unique(name string) string { return fmt.Sprint(name, scenes.Add(1)) }

// certificate is a certificate for all names of the domain and for 127.0.0.1, in files that the servers can
// read.
type certificate struct {
	cert, key   string
	postgresKey string // a separate file, because PostgreSQL requires its own owner and mode
	onlyTLS     string // a pg_hba.conf
	roots       *x509.CertPool
}

func (c certificate) client() *tls.Config { return &tls.Config{RootCAs: c.roots} }

func newCertificate(t *testing.T) certificate {
	t.Helper()
	dir, err := os.MkdirTemp("", "faults-")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"*." + domain}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	certDER, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	write := func(name string, text []byte, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, text, mode))
		return path
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certDER})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	c := certificate{cert: write("cert.pem", certPEM, 0o644), key: write("key.pem", keyPEM, 0o644), roots: x509.NewCertPool(),
		postgresKey: write("postgres.pem", keyPEM, 0o600), onlyTLS: write("pg_hba.conf", []byte(onlyTLS), 0o644)}
	require.True(t, c.roots.AppendCertsFromPEM(certPEM))
	giveAway(t, c.postgresKey)
	return c
}

// onlyTLS is a pg_hba.conf that accepts only connections with TLS, except from the tests' superuser.
const onlyTLS = `
host    all postgres 127.0.0.1/32 scram-sha-256
hostssl all all      127.0.0.1/32 scram-sha-256
`

// giveAway gives a file to the account that PostgreSQL runs as, if the test runs as root.
func giveAway(t *testing.T, path string) {
	t.Helper()
	account, err := user.Lookup("postgres")
	if os.Geteuid() != 0 || err != nil {
		return
	}
	uid, err := strconv.Atoi(account.Uid)
	require.NoError(t, err)
	require.NoError(t, os.Chown(path, uid, -1))
}
