//go:build !linux

package testserver

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"os/user"
	"syscall"
	"time"
)

// supported is false. So find skips every test that needs a server, and the functions below are never called.
const supported = false

type process struct{}

func startProcess(command, string, string, *os.File) (*process, error) {
	return nil, errors.ErrUnsupported
}

func removeLater(string) (func(), error) { return nil, errors.ErrUnsupported }

func (p *process) pid() int                    { return 0 }
func (p *process) running() bool               { return false }
func (p *process) signal(syscall.Signal) error { return errors.ErrUnsupported }
func (p *process) freeze() error               { return errors.ErrUnsupported }
func (p *process) thaw()                       {}
func (p *process) kill() error                 { return errors.ErrUnsupported }
func (p *process) wait(time.Duration) error    { return errors.ErrUnsupported }
func (p *process) reap()                       {}

func setAccount(*exec.Cmd, *user.User) {}

func shortenQueue(*net.TCPListener) error { return errors.ErrUnsupported }
