package testserver

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Redis is a running redis-server. It keeps its data over Stop and Kill.
type Redis struct {
	Server
	password string
}

// NewRedis starts a Redis that ends with the test. The arguments are redis-server's,
// such as "--maxmemory", "1mb" or "--requirepass", "secret".
func NewRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	redis := startRedis(t, args...)
	redis.endWith(t)
	return redis
}

// NewSentinel starts a Sentinel that ends with the test. It watches master under the given name, and needs no
// other Sentinel's agreement for a failover.
func NewSentinel(t testing.TB, name string, master *Redis) *Redis {
	t.Helper()
	program := find(t, "redis-server", "redis-server")
	account := unprivileged(t, "nobody")
	sentinel := &Redis{}
	sentinel.lifecycle = lifecycle{
		name: "Sentinel", dir: mustMakeDir(t, account), answers: sentinel.ping, stop: syscall.SIGTERM,
	}
	sentinel.command = func() command {
		file := filepath.Join(sentinel.dir, fmt.Sprintf("%d.conf", sentinel.port))
		// An existing file must stay, because Sentinel has written settings to it.
		if _, err := os.Stat(file); err != nil {
			text := fmt.Sprintf("bind 127.0.0.1\nport %d\nsentinel monitor %s 127.0.0.1 %d 1\n",
				sentinel.port, name, master.Port())
			if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), give(account, file)); err != nil {
				t.Fatal(err)
			}
		}
		return command{account: account, argv: []string{program, file, "--sentinel"}}
	}
	sentinel.open(t)
	sentinel.endWith(t)
	return sentinel
}

func startRedis(t testing.TB, args ...string) *Redis {
	t.Helper()
	program := find(t, "redis-server", "redis-server")
	account := unprivileged(t, "nobody")
	redis := &Redis{password: argument(args, "--requirepass")}
	redis.lifecycle = lifecycle{
		name:    "Redis",
		dir:     mustMakeDir(t, account),
		answers: redis.ping,
		stop:    syscall.SIGTERM,
	}
	redis.command = func() command {
		// The append-only file keeps the data over a Kill. So snapshots are not needed.
		return command{account: account, argv: slices.Concat([]string{program,
			"--bind", "127.0.0.1", "--port", strconv.Itoa(redis.port), "--dir", redis.dir,
			"--appendonly", "yes", "--appendfsync", "no", "--save", "",
		}, args)}
	}
	redis.open(t)
	return redis
}

// argument returns the value after the last occurrence of a name in args, or "".
func argument(args []string, name string) string {
	value := ""
	for i := 0; i+1 < len(args); i++ {
		if args[i] == name {
			value = args[i+1]
		}
	}
	return value
}

// URL returns "redis://127.0.0.1:port/0", with the password of --requirepass if there is one.
func (r *Redis) URL() string {
	u := url.URL{Scheme: "redis", Host: r.Addr(), Path: "/0"}
	if r.password != "" {
		u.User = url.UserPassword("", r.password)
	}
	return u.String()
}

// ping returns nil if Redis has loaded its data and answers. An error that a password is required counts as
// an answer.
func (r *Redis) ping() error {
	conn, err := net.DialTimeout("tcp", r.Addr(), time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return err
	}
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if strings.HasPrefix(answer, "-LOADING") {
		return fmt.Errorf("not ready: %s", strings.TrimSpace(answer))
	}
	return nil
}
