package testserver

import (
	"os/user"
	"path/filepath"
	"sync"
)

// A template is a server's data directory as its first start finds it. The servers of the test binary copy
// it, which is much faster than making one.
type template struct {
	mu     sync.Mutex // guards the rest, also while the directory is made
	dir    string     // has it as the subdirectory data
	remove func()
}

// copy makes the subdirectory data of dir. The first call makes the template by initialize, which gets the
// directory to make the subdirectory in.
func (t *template) copy(account *user.User, dir string, initialize func(dir string) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dir == "" {
		if err := t.make(account, initialize); err != nil {
			return err
		}
	}
	copying := command{account: account, argv: []string{
		"cp", "-a", filepath.Join(t.dir, "data"), filepath.Join(dir, "data")}}
	_, err := copying.run(dir, "")
	return err
}

func (t *template) make(account *user.User, initialize func(dir string) error) error {
	dir, err := makeDir(account)
	if err != nil {
		return err
	}
	remove, err := removeLater(dir)
	if err != nil {
		return err
	}
	if err := initialize(dir); err != nil {
		remove()
		return err
	}
	t.dir, t.remove = dir, remove
	return nil
}

// end removes the directory, if there is one.
func (t *template) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dir != "" {
		t.remove()
		t.dir = ""
	}
}
