package testserver

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

const supported = true

// A test that runs as root makes files and directories for servers that run under other accounts. These
// accounts must be able to read them, whatever the umask and TMPDIR of root are.
func init() {
	syscall.Umask(0o022)
	if os.Geteuid() == 0 && !enterable(os.TempDir()) {
		os.Setenv("TMPDIR", "/tmp")
	}
}

// enterable reports whether all accounts may enter dir and its parents.
func enterable(dir string) bool {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return false
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if info, err := os.Stat(dir); err != nil || info.Mode()&1 == 0 {
			return false
		}
	}
	return true
}

// guardScript starts a guard and then executes the server in the same process, so that $$ is the server's
// process id too. The guard waits for a line on descriptor 3. Only the test binary holds the other end of
// this pipe. End of file instead of a line means that the test binary has ended. The guard then kills the
// server with all its descendants, runs the cleanup command ($1) and removes the server's directory ($0). It
// stops each process before it lists the process's children, so that the process cannot start more children
// in the meantime. The guard is not a child of the server, because a subshell starts it in the background and
// ends. So freezing or killing the server's process tree does not affect the guard.
const guardScript = `
children() {
	grep -l "^PPid:[[:space:]]*$1\$" /proc/[0-9]*/status | cut -d/ -f3
}
end() {
	kill -STOP "$1"
	for child in $(children "$1"); do end "$child"; done
	kill -KILL "$1"
}
guard() {
	read -r _ <&3 && return
	end $$
	eval "$1"
	rm -rf -- "$0"
}
( guard "$1" >/dev/null 2>&1 & )
shift
exec "$@" 3<&-
`

// A process is a server's first process, from which all the server's other processes descend.
type process struct {
	cmd *exec.Cmd
	// The guard's pipe. A line reports that the server has ended. End of file reports that the test binary has
	// ended.
	guard *os.File
}

// startProcess starts a server under the command's account, in dir. The server's output is appended to log.
// If the test binary ends first, the guard runs the shell command cleanup in dir.
func startProcess(c command, dir, cleanup string, log *os.File) (*process, error) {
	guarded, guard, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer guarded.Close()
	cmd := exec.Command("/bin/sh", append([]string{"-c", guardScript, dir, cleanup}, c.argv...)...)
	cmd.Dir = dir
	cmd.Env = c.environ()
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{guarded}
	// In a new session, the server doesn't get SIGINT when the user presses Ctrl-C. If the parent dies while the
	// server is frozen, the system sends SIGHUP to a process group of the same session. A new session protects
	// the server and the guard from it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Credential: credential(c.account)}
	if err := cmd.Start(); err != nil {
		guard.Close()
		return nil, err
	}
	return &process{cmd: cmd, guard: guard}, nil
}

// removeLater returns a function that removes dir. If the test binary ends first, a guard
// removes it.
func removeLater(dir string) (remove func(), err error) {
	guarded, guard, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer guarded.Close()
	cmd := exec.Command("/bin/sh", "-c", `read -r _ <&3; rm -rf -- "$0"`, dir)
	cmd.ExtraFiles = []*os.File{guarded}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		guard.Close()
		return nil, err
	}
	return func() {
		guard.Close()
		cmd.Wait()
	}, nil
}

// credential returns the credential of account. For a nil account it returns nil, so that the process runs
// under the test's account.
func credential(account *user.User) *syscall.Credential {
	if account == nil {
		return nil
	}
	uid, _ := strconv.ParseUint(account.Uid, 10, 32) // ids are numbers on Linux
	gid, _ := strconv.ParseUint(account.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// running reports whether the first process exists. A frozen process counts as running.
func (p *process) running() bool {
	_, state := procStat(p.pid())
	return alive(state)
}

// signal signals only the first process, which shuts down the others itself.
func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// freeze stops every process of the tree. It repeats until all are stopped, because a process that was still
// running may have started another.
func (p *process) freeze() error {
	return poll(10*time.Second, func() error {
		running := 0
		for _, pid := range p.tree() {
			if _, state := procStat(pid); alive(state) && state != 'T' {
				running++
				syscall.Kill(pid, syscall.SIGSTOP)
			}
		}
		if running > 0 {
			return fmt.Errorf("%d processes are still not frozen", running)
		}
		return nil
	})
}

func (p *process) thaw() {
	for _, pid := range p.tree() {
		syscall.Kill(pid, syscall.SIGCONT)
	}
}

// kill kills every process of the tree and returns when they are gone. It freezes them first, so that none of
// them can start another in the meantime.
func (p *process) kill() error {
	frozen := p.freeze()
	pids := p.tree()
	for _, pid := range pids {
		syscall.Kill(pid, syscall.SIGKILL)
	}
	p.reap()
	err := poll(10*time.Second, func() error { return gone(pids) })
	if err != nil {
		return err
	}
	return frozen
}

// wait returns when the first process has ended, for example because of a signal. Unlike kill, wait does not
// end it. If the process still runs after limit, wait returns an error.
func (p *process) wait(limit time.Duration) error {
	err := poll(limit, func() error {
		if p.running() {
			return fmt.Errorf("process %d still runs", p.pid())
		}
		return nil
	})
	if err == nil {
		p.reap()
	}
	return err
}

// reap waits for the end of the first process, reads its exit status, and ends the guard.
func (p *process) reap() {
	p.cmd.Wait()
	p.guard.WriteString("ended\n")
	p.guard.Close()
}

// gone returns an error if at least one of the processes still exists.
func gone(pids []int) error {
	for _, pid := range pids {
		if _, state := procStat(pid); alive(state) {
			return fmt.Errorf("process %d is still there", pid)
		}
	}
	return nil
}

// tree returns the ids of the first process and all its descendants. Signalling the process group or the
// session would not reach all of them, because a PostgreSQL backend makes its own session.
func (p *process) tree() []int {
	children := make(map[int][]int)
	stats, _ := filepath.Glob("/proc/[0-9]*/stat") // the only error is a bad pattern
	for _, name := range stats {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
		parent, _ := procStat(pid)
		children[parent] = append(children[parent], pid)
	}
	pids := []int{p.pid()}
	for i := 0; i < len(pids); i++ {
		pids = append(pids, children[pids[i]]...)
	}
	return pids
}

// procStat returns the parent and the state of a process as in proc(5): 'T' means stopped, and 'Z' means that
// the process has ended but its parent has not waited for it. The state is 0 if there is no such process.
func procStat(pid int) (parent int, state byte) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	// The process's name, in parentheses, may itself contain parentheses. The fields after the name do not.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 {
		return 0, 0
	}
	parent, _ = strconv.Atoi(string(fields[1]))
	return parent, fields[0][0]
}

func alive(state byte) bool { return !slices.Contains([]byte{0, 'Z', 'X'}, state) }

// setAccount makes cmd run under account. If account is nil, cmd runs under the test's account.
func setAccount(cmd *exec.Cmd, account *user.User) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(account)}
}

// shortenQueue makes the listener's queue, of connections that wait to be accepted, as short as possible.
func shortenQueue(listener *net.TCPListener) error {
	raw, err := listener.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = syscall.Listen(int(fd), 0) })
	return errors.Join(err, failed)
}
