package probetest

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// checkLeaks fails t if goroutines or files are open at the end of t that are not open now. It must be called
// before other functions are given to t.Cleanup, because t calls them in the reverse order.
func (k kit) checkLeaks(t *testing.T) {
	goroutines, files := k.goroutines(), openFiles()
	t.Cleanup(func() {
		var moreGoroutines, moreFiles []string
		if !k.eventually(func() bool {
			moreGoroutines, moreFiles = added(k.goroutines(), goroutines), added(openFiles(), files)
			return len(moreGoroutines)+len(moreFiles) == 0
		}) {
			t.Errorf("%s after the end there is still open what was not open before: %s",
				k.Patience, describe(moreGoroutines, moreFiles))
		}
	})
}

// eventually waits until f returns true, and reports whether it did so within Options.Patience.
func (k kit) eventually(f func() bool) bool {
	deadline := time.Now().Add(k.Patience)
	for pause := time.Millisecond; !f(); pause = min(2*pause, 50*time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
		time.Sleep(pause)
	}
	return true
}

// describe lists all files, but shows only one goroutine, because the others are usually like it.
func describe(goroutines, files []string) string {
	var text strings.Builder
	if len(files) > 0 {
		fmt.Fprintf(&text, "%d file descriptor(s) (%s)", len(files), strings.Join(files, ", "))
	}
	if len(goroutines) > 0 {
		if text.Len() > 0 {
			text.WriteString(" and ")
		}
		fmt.Fprintf(&text, "%d goroutine(s), one of them:\n%s", len(goroutines), goroutines[0])
	}
	return text.String()
}

// added returns the values of after whose keys are not in before.
func added(after, before map[string]string) []string {
	var more []string
	for key, value := range after {
		if _, ok := before[key]; !ok {
			more = append(more, value)
		}
	}
	slices.Sort(more)
	return more
}

// goroutines returns the stacks of all goroutines by their numbers. It omits the caller, the goroutines of
// Options.Ignore, and those in which Run still waits for the probe, because Run has already reported them.
func (k kit) goroutines() map[string]string {
	stacks := allStacks()
	for number, stack := range stacks {
		ignored := func(function string) bool { return strings.Contains(stack, function) }
		if inContain(stack) || slices.ContainsFunc(k.Ignore, ignored) {
			delete(stacks, number)
		}
	}
	return stacks
}

// allStacks returns the stacks of all goroutines except the caller's.
func allStacks() map[string]string {
	buffer := make([]byte, 256<<10)
	n := runtime.Stack(buffer, true)
	for n == len(buffer) {
		buffer = make([]byte, 2*n)
		n = runtime.Stack(buffer, true)
	}
	stacks := make(map[string]string)
	for i, stack := range strings.Split(string(buffer[:n]), "\n\n") {
		if i == 0 {
			continue // the caller
		}
		if words := strings.Fields(stack); len(words) > 1 {
			stacks[words[1]] = stack // as in "goroutine 7 [select]:"
		}
	}
	return stacks
}

func inContain(stack string) bool {
	return strings.Contains(stack, "github.com/echo-probes/echohealth/probes/probetest.contain(")
}

// stuck returns the stack of a goroutine in which Run waits for the probe.
func stuck() string {
	for _, stack := range allStacks() {
		if inContain(stack) {
			return stack
		}
	}
	return "it has returned now"
}

// openFiles returns the open files of the process by number and name. It returns none on systems other than
// Linux. It omits the two files of the Go runtime, which opens them at first use. It also omits files that
// are closed before it reads their names, such as the directory that it reads itself.
func openFiles() map[string]string {
	files := make(map[string]string)
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return files
	}
	for _, entry := range entries {
		name, err := os.Readlink("/proc/self/fd/" + entry.Name())
		if err != nil || name == "anon_inode:[eventpoll]" || name == "anon_inode:[eventfd]" {
			continue
		}
		file := entry.Name() + " " + name
		files[file] = file
	}
	return files
}
