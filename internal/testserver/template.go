package testserver

import (
	"os/user"
	"path/filepath"
	"sync"
)

// A template is a data directory that no server has used yet. Each server copies it, which is much faster
// than making another.
type template struct {
	mu     sync.Mutex // guards the fields below, and is locked while the directory is made
	dir    string     // contains the data directory as its subdirectory data
	remove func()
}

// copy copies the template to dir/data. If there is no template yet, copy makes it: it calls initialize with
// another directory d, and initialize must make d/data.
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

// end removes the template's directory, if there is one.
func (t *template) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dir != "" {
		t.remove()
		t.dir = ""
	}
}
