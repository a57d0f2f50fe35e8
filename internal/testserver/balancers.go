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

// NewHAProxy starts an HAProxy that ends with the test. configure must return the whole configuration, in
// which a frontend listens on addr.
func NewHAProxy(t testing.TB, configure func(addr string) string) *Balancer {
	t.Helper()
	program := find(t, "haproxy", "haproxy", "/usr/sbin/haproxy")
	return startBalancer(t, "HAProxy", configure, program, "-db", "-f", balancerConfig)
}

// NewNginx starts an nginx that ends with the test. configure must return the content of the http block, in
// which a server listens on addr.
func NewNginx(t testing.TB, configure func(addr string) string) *Balancer {
	t.Helper()
	program := find(t, "nginx", "nginx", "/usr/sbin/nginx")
	whole := func(addr string) string { return fmt.Sprintf(nginxConfig, configure(addr)) }
	return startBalancer(t, "nginx", whole, program, "-e", "stderr", "-p", ".", "-c", balancerConfig)
}

// nginxConfig is the configuration around the content of the http block. It makes nginx write all its files
// to its working directory.
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

// NewCaddy starts a Caddy that ends with the test. configure must return the sites of the Caddyfile, one of
// which listens on addr.
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
		stop: syscall.SIGTERM, // stops immediately, without waiting for the clients
	}
	b.command = func() command {
		path := filepath.Join(b.dir, balancerConfig)
		// The error is ignored, because the balancer itself reports a missing configuration.
		os.WriteFile(path, []byte(configure(b.Addr())), 0o644)
		directories := []string{"HOME=" + b.dir, "XDG_CONFIG_HOME=" + b.dir, "XDG_DATA_HOME=" + b.dir}
		return command{account: account, argv: argv, env: directories}
	}
	b.open(t)
	b.endWith(t)
	return b
}
