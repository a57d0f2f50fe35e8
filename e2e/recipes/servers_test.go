package recipes

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/echo-probes/echohealth/internal/testserver"
	"github.com/stretchr/testify/require"
)

const (
	user     = "app"
	password = "app-secret"
)

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "8") // the tests wait most of the time
	code := testserver.Run(m)
	if programs.dir != "" {
		_ = os.RemoveAll(programs.dir)
	}
	os.Exit(code)
}

// programs has the paths of the servers' programs, which are built once.
var programs struct {
	once sync.Once
	dir  string
	err  error
}

func program(t *testing.T, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds the servers")
	}
	programs.once.Do(func() {
		if programs.dir, programs.err = os.MkdirTemp("", "echohealth-recipes-"); programs.err == nil {
			programs.err = buildPrograms(programs.dir)
		}
	})
	require.NoError(t, programs.err)
	return filepath.Join(programs.dir, name)
}

// buildPrograms builds without the race detector. With it the builds of these servers would take minutes.
func buildPrograms(dir string) error {
	_, err := run("servers", "go", "build", "-o", dir, ".", "github.com/versity/versitygw/cmd/versitygw")
	if err != nil {
		return err
	}
	return buildFerretDB(dir)
}

// buildFerretDB builds a copy of FerretDB's module, because its releases lack a file with the version. The
// copy stays at the same place, so that Go's build cache can be used again.
func buildFerretDB(dir string) error {
	text, err := run("servers", "go", "mod", "download", "-json", "github.com/FerretDB/FerretDB")
	if err != nil {
		return err
	}
	var module struct{ Dir, Version string }
	if err := json.Unmarshal(text, &module); err != nil {
		return err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	source := filepath.Join(cache, "echohealth", "ferretdb-"+module.Version)
	version := filepath.Join(source, "build", "version", "version.txt")
	if _, err := os.Stat(version); err != nil { // this file is written last
		if err := copyTree(source, module.Dir); err != nil {
			return err
		}
		if err := os.WriteFile(version, []byte(module.Version), 0o644); err != nil {
			return err
		}
	}
	_, err = run(source, "go", "build", "-tags", "ferretdb_no_sqlite", "-o", dir, "./cmd/ferretdb")
	return err
}

// copyTree copies files and folders, and makes them writable. Those of Go's module cache are not.
func copyTree(to, from string) error {
	files := os.DirFS(from)
	return fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o755)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), text, 0o644)
	})
}

func run(dir string, argv ...string) ([]byte, error) {
	command := exec.Command(argv[0], argv[1:]...)
	command.Dir = dir
	output, err := command.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		err = fmt.Errorf("%s: %w\n%s", command, err, exit.Stderr)
	}
	return output, err
}

// process is a server in a separate process.
type process struct {
	network string
	address string
	argv    []string
	command *exec.Cmd
	output  bytes.Buffer // only the command writes to it, until the command has ended
}

// start runs a server that listens on the address, and ends with the test.
func start(t *testing.T, network, address string, argv ...string) *process {
	t.Helper()
	p := &process{network: network, address: address, argv: argv}
	p.launch(t)
	t.Cleanup(func() {
		p.end()
		if t.Failed() {
			t.Logf("the output of %s ends: %s", argv[0], p.output.Bytes()[max(0, p.output.Len()-2000):])
		}
	})
	return p
}

// serve runs a server of the module servers.
func serve(t *testing.T, kind string, arguments ...string) *process {
	t.Helper()
	network := "tcp"
	if kind == "dns" {
		network = "udp"
	}
	address := freeAddress(t)
	return start(t, network, address, append([]string{program(t, "servers"), kind, address}, arguments...)...)
}

func freeAddress(t *testing.T) string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(testserver.FreePort(t)))
}

func (p *process) launch(t *testing.T) {
	t.Helper()
	p.command = exec.Command(p.argv[0], p.argv[1:]...)
	p.command.Stdout, p.command.Stderr = io.Discard, &p.output
	p.command.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+user, "ROOT_SECRET_KEY="+password)
	require.NoError(t, p.command.Start())
	if p.network == "udp" {
		return // there is no connection to wait for; the test waits for the first answer
	}
	require.Eventually(t, func() bool {
		conn, err := net.Dial(p.network, p.address)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, time.Minute, 10*time.Millisecond, "%s does not listen", p.argv)
}

func (p *process) freeze(t *testing.T) { p.signal(t, syscall.SIGSTOP) }
func (p *process) thaw(t *testing.T)   { p.signal(t, syscall.SIGCONT) }

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	require.NoError(t, p.command.Process.Signal(s))
}

// end kills the server, even if it is frozen.
func (p *process) end() {
	_ = p.command.Process.Kill()
	_ = p.command.Wait()
}
