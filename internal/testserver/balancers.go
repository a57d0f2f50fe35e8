package testserver

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// Balancer is a running load balancer: HAProxy, nginx or Caddy.
type Balancer struct{ Server }

// NewHAProxy starts an HAProxy that ends with the test. configure returns the whole of its configuration, for
// a frontend that listens on addr.
func NewHAProxy(t testing.TB, configure func(addr string) string) *Balancer {
	t.Helper()
	program := find(t, "haproxy", "haproxy", "/usr/sbin/haproxy")
	return startBalancer(t, "HAProxy", configure, program, "-db", "-f", balancerConfig)
}

// NewNginx starts an nginx that ends with the test. configure returns the content of the http block for a
// server that listens on addr.
func NewNginx(t testing.TB, configure func(addr string) string) *Balancer {
	t.Helper()
	program := find(t, "nginx", "nginx", "/usr/sbin/nginx")
	whole := func(addr string) string { return fmt.Sprintf(nginxConfig, configure(addr)) }
	return startBalancer(t, "nginx", whole, program, "-e", "stderr", "-p", ".", "-c", balancerConfig)
}

// nginxConfig makes nginx write all its files to its working directory.
const nginxConfig = `
daemon off;
worker_processes 1;
pid nginx.pid;
events {}
http {
access_log off;
client_body_temp_path body;
proxy_temp_path proxy;
fastcgi_temp_path fastcgi;
uwsgi_temp_path uwsgi;
scgi_temp_path scgi;
%s}
`

// NewCaddy starts a Caddy that ends with the test. configure returns the sites of its Caddyfile, for a site
// that listens on addr.
func NewCaddy(t testing.TB, configure func(addr string) string) *Balancer {
	t.Helper()
	program := find(t, "caddy", "caddy")
	whole := func(addr string) string { return "{\n\tadmin off\n\tauto_https off\n}\n" + configure(addr) }
	return startBalancer(t, "Caddy", whole, program, "run", "--adapter", "caddyfile", "--config", balancerConfig)
}

const balancerConfig = "config"

func startBalancer(t testing.TB, name string, configure func(addr string) string, argv ...string) *Balancer {
	t.Helper()
	account := unprivileged(t, "nobody")
	b := &Balancer{}
	b.lifecycle = lifecycle{
		name: name, dir: mustMakeDir(t, account), answers: b.accepting,
		stop: syscall.SIGTERM, // at once, without waiting for the clients
	}
	b.command = func() command {
		path := filepath.Join(b.dir, balancerConfig)
		os.WriteFile(path, []byte(configure(b.Addr())), 0o644) // if it can't be written, the program says so
		directories := []string{"HOME=" + b.dir, "XDG_CONFIG_HOME=" + b.dir, "XDG_DATA_HOME=" + b.dir}
		return command{account: account, argv: argv, env: directories}
	}
	b.open(t)
	b.endWith(t)
	return b
}
