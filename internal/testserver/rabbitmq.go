package testserver

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// rabbitNode is the name of every node that isn't in a cluster. The names needn't differ, because each node
// has a separate port for the distribution protocol and is registered nowhere.
const rabbitNode = "rabbit@localhost"

// RabbitMQ is a running RabbitMQ node without plugins. Its user app, with the password "app-secret", has all
// permissions on the virtual host "/". The node raises the memory alarm at 1 GB, and the disk alarm only if
// less than 1 MB of the disk is free. It keeps durable queues and persistent messages over Stop and Kill.
type RabbitMQ struct {
	Server
	install  string // directory of RabbitMQ's installation
	account  *user.User
	settings []string
	host     string    // address for the distribution protocol in a cluster; "" without a cluster
	first    *RabbitMQ // first node of the cluster to join; nil for the first node and without a cluster
}

// NewRabbitMQ starts a RabbitMQ that ends with the test. The start takes a few seconds. Settings are lines of
// rabbitmq.conf, such as "listeners.ssl.1 = 127.0.0.1:5671".
func NewRabbitMQ(t testing.TB, settings ...string) *RabbitMQ {
	t.Helper()
	q := startRabbitMQ(t, settings...)
	q.endWith(t)
	return q
}

func startRabbitMQ(t testing.TB, settings ...string) *RabbitMQ {
	t.Helper()
	q := &RabbitMQ{settings: slices.Clone(settings)}
	q.begin(t)
	return q
}

func (q *RabbitMQ) begin(t testing.TB) {
	t.Helper()
	// The rabbitmq-server in Debian's PATH can't be used, because it must run as root and logs to /var.
	program := find(t, "rabbitmq-server", "rabbitmq-server",
		"/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server")
	q.account = unprivileged(t, "rabbitmq")
	q.install = filepath.Dir(filepath.Dir(program))
	q.lifecycle = lifecycle{
		name:    "RabbitMQ",
		dir:     mustMakeDir(t, q.account),
		command: q.server,
		answers: q.handshake,
		stop:    syscall.SIGTERM,
	}
	if err := errors.Join(q.configure(), q.makeHome(), q.takeCookie()); err != nil {
		q.giveUp(t, err)
	}
	q.open(t)
}

// URL returns "amqp://app:app-secret@127.0.0.1:port/".
func (q *RabbitMQ) URL() string { return "amqp://app:app-secret@" + q.Addr() + "/" }

// Ctl runs rabbitmqctl with the given arguments against the node and returns its output without informational
// messages. It takes about half a second. For example, "set_vm_memory_high_watermark", "absolute", "1" sets
// off the memory alarm. The same command with "1GB" ends it.
func (q *RabbitMQ) Ctl(t testing.TB, args ...string) string {
	t.Helper()
	ctl := command{account: q.account, argv: append([]string{
		filepath.Join(q.home(), "sbin", "rabbitmqctl"), "--quiet", "--node", q.node()}, args...)}
	// rabbitmqctl is an Erlang node too. It connects to the server's distribution port, but must not listen on
	// the same port.
	ctl.env = append(q.environ(), "ERL_AFLAGS="+q.distribution()+" -dist_listen false")
	return ctl.mustRun(t, q.dir, "")
}

// Eval evaluates an Erlang expression on the node by "rabbitmqctl eval" and returns the value in Erlang's
// notation.
func (q *RabbitMQ) Eval(t testing.TB, erlang string) string {
	t.Helper()
	if !strings.HasSuffix(erlang, ".") {
		erlang += "."
	}
	return strings.TrimSpace(q.Ctl(t, "eval", erlang))
}

func (q *RabbitMQ) server() command {
	// A name in these flags makes the node join the distribution when Erlang starts. Otherwise RabbitMQ would do
	// it later, and would start epmd first.
	flags := "-noinput -sname " + rabbitNode + " -kernel inet_dist_use_interface {127,0,0,1} +S 2:2"
	if q.host != "" {
		flags = "-noinput -name " + q.node() + " -kernel inet_dist_use_interface {" +
			strings.ReplaceAll(q.host, ".", ",") + "} +S 2:2"
	}
	return command{
		account: q.account,
		argv:    []string{filepath.Join(q.home(), "sbin", "rabbitmq-server")},
		env: append(q.environ(),
			"ERL_AFLAGS="+q.distribution(),
			"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+flags,
			// With this variable the script replaces itself by the server, instead of waiting for the server.
			"RABBITMQ_ALLOW_INPUT=true",
		),
	}
}

// distribution returns the flags with which Erlang nodes find each other by a fixed port. Without them they
// use epmd, a daemon that all Erlang programs of a machine share. The flags must be passed in the
// environment, because RabbitMQ sometimes starts another Erlang only to start epmd, and the flags must reach
// that Erlang too.
func (q *RabbitMQ) distribution() string {
	port := q.controlPort
	if q.first != nil {
		port = q.first.controlPort
	}
	return fmt.Sprintf("-start_epmd false -erl_epmd_port %d", port)
}

// environ returns the environment that moves everything that RabbitMQ reads or writes into the node's
// directory.
func (q *RabbitMQ) environ() []string {
	return []string{
		"HOME=" + q.dir, // contains the Erlang cookie
		fmt.Sprintf("RABBITMQ_USE_LONGNAME=%t", q.host != ""),
		"RABBITMQ_SCRIPTS_DIR=" + filepath.Join(q.home(), "sbin"),
		"RABBITMQ_NODENAME=" + q.node(),
		"RABBITMQ_CONF_ENV_FILE=/dev/null",
		"RABBITMQ_NODE_IP_ADDRESS=127.0.0.1",
		fmt.Sprintf("RABBITMQ_NODE_PORT=%d", q.port),
		"RABBITMQ_CONFIG_FILE=" + q.configFile(),
		"RABBITMQ_ADVANCED_CONFIG_FILE=" + filepath.Join(q.dir, "advanced.config"),
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + filepath.Join(q.dir, "enabled_plugins"),
		"RABBITMQ_MNESIA_BASE=" + filepath.Join(q.dir, "data"),
		"RABBITMQ_LOG_BASE=" + q.dir,
		"RABBITMQ_LOGS=-",
		"ERL_CRASH_DUMP_SECONDS=0",
		"ERL_EPMD_PORT=1", // so that no running epmd gets to know this node
	}
}

func (q *RabbitMQ) configFile() string { return filepath.Join(q.dir, "rabbitmq.conf") }

func (q *RabbitMQ) configure() error {
	const config = `
default_user = app
default_pass = app-secret
disk_free_limit.absolute = 1MB
vm_memory_high_watermark.absolute = 1GB
`
	text := config + strings.Join(q.settings, "\n") + "\n"
	return os.WriteFile(q.configFile(), []byte(text), 0o644)
}

// home returns the path of the directory that makeHome makes in the layout of an installation.
func (q *RabbitMQ) home() string { return filepath.Join(q.dir, "home") }

// makeHome links to the installation's scripts, and to only those Erlang applications in it that the server
// itself needs. Erlang searches the directories of all applications for each of the server's thousand
// modules, so with the plugins' directories the start would take twice as long.
func (q *RabbitMQ) makeHome() error {
	plugins := filepath.Join(q.home(), "plugins")
	if err := os.MkdirAll(plugins, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"sbin", "escript"} {
		if err := os.Symlink(filepath.Join(q.install, name), filepath.Join(q.home(), name)); err != nil {
			return err
		}
	}
	needed := make(map[string]string)
	q.need("rabbit", needed)
	for _, dir := range needed {
		if err := os.Symlink(dir, filepath.Join(plugins, filepath.Base(dir))); err != nil {
			return err
		}
	}
	return nil
}

// applications matches the list of dependencies in the .app file of an Erlang application. atom matches a
// name in this list.
var (
	applications = regexp.MustCompile(`\{applications,\s*\[[^\]]*\]`)
	atom         = regexp.MustCompile(`[a-z]\w*`)
)

// need adds the directories of an application and of all its dependencies to dirs, with the applications'
// names as keys. It ignores applications that are not in the directory plugins, because these are part of
// Erlang.
func (q *RabbitMQ) need(application string, dirs map[string]string) {
	if dirs[application] != "" {
		return
	}
	file := newest(filepath.Join(q.install, "plugins", application+"-*", "ebin", application+".app"))
	text, err := os.ReadFile(file)
	if err != nil {
		return
	}
	dirs[application] = filepath.Dir(filepath.Dir(file))
	for _, name := range atom.FindAllString(string(applications.Find(text)), -1) {
		q.need(name, dirs)
	}
}

// handshake returns nil if RabbitMQ answers the header that opens an AMQP connection.
func (q *RabbitMQ) handshake() error {
	conn, err := net.DialTimeout("tcp", q.Addr(), time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(conn, "AMQP\x00\x00\x09\x01"); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, 1))
	return err
}
