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

// guardScript starts a guard and becomes the server, with the same process id ($$). The guard waits for a
// line on descriptor 3, whose other end only the test binary holds. End of file instead of a line means that
// the test binary has ended. The guard then kills the server with all its descendants, cleans up ($1) and
// removes the server's directory ($0). It stops each process before it lists the children, so that the
// process cannot start more of them meanwhile. The guard is not a child of the server, because the shell
// between them has ended. So it is not frozen or killed with the server.
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

// A process is a server's first process, and the root of the tree of all of them.
type process struct {
	cmd   *exec.Cmd
	guard *os.File // a line: the server has ended; end of file: the test binary has ended
}

// startProcess starts the program under the command's account, in dir, with its output
// appended to log. The guard runs the shell command cleanup in dir.
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
	// In a session of its own it doesn't get the terminal's Ctrl-C. Nor does it, or the
	// guard, get the SIGHUP with which the system wakes a frozen process group when the
	// parent has died, if that was of the same session.
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

// credential returns nil for no account. The process then runs under the test's account.
func credential(account *user.User) *syscall.Credential {
	if account == nil {
		return nil
	}
	uid, _ := strconv.ParseUint(account.Uid, 10, 32) // numbers on Linux
	gid, _ := strconv.ParseUint(account.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// running reports whether the first process exists, frozen or not.
func (p *process) running() bool {
	_, state := procStat(p.pid())
	return alive(state)
}

// signal signals only the first process, which is how a server is asked to stop.
func (p *process) signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// freeze stops every process of the tree. It repeats until all are stopped, because a
// process that was not yet stopped may have started another.
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

// kill kills every process of the tree and returns when they are gone. It freezes them
// first, so that none can start another meanwhile.
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

// wait returns when the first process has ended by itself. After limit it returns an
// error.
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

// reap reads the exit status of the first process, which has ended or is about to, and ends the guard.
func (p *process) reap() {
	p.cmd.Wait()
	p.guard.WriteString("ended\n")
	p.guard.Close()
}

// gone returns an error while one of the processes exists.
func gone(pids []int) error {
	for _, pid := range pids {
		if _, state := procStat(pid); alive(state) {
			return fmt.Errorf("process %d is still there", pid)
		}
	}
	return nil
}

// tree returns the first process and all its descendants. Process groups and sessions do
// not suffice, because a PostgreSQL backend makes its own session.
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

// procStat returns a process's parent and its state as in proc(5): 'T' is stopped, 'Z' is
// ended but not waited for. The state is 0 if there is no such process.
func procStat(pid int) (parent int, state byte) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	// The name, in parentheses, may itself contain parentheses. The fields after it do not.
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 2 {
		return 0, 0
	}
	parent, _ = strconv.Atoi(string(fields[1]))
	return parent, fields[0][0]
}

func alive(state byte) bool { return !slices.Contains([]byte{0, 'Z', 'X'}, state) }

// setAccount makes a command run under an account, or under the test's own if it is nil.
func setAccount(cmd *exec.Cmd, account *user.User) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential(account)}
}

// shortenQueue makes the queue of connections that wait to be accepted as short as
// possible.
func shortenQueue(listener *net.TCPListener) error {
	raw, err := listener.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = syscall.Listen(int(fd), 0) })
	return errors.Join(err, failed)
}
