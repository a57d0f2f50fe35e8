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

// watch fails t if at its very end, after all that is begun later has ended, there is more open than now.
func (k kit) watch(t *testing.T) {
	goroutines, files := k.goroutines(), openFiles()
	t.Cleanup(func() {
		var moreGoroutines, moreFiles []string
		if !k.eventually(func() bool {
			moreGoroutines, moreFiles = added(k.goroutines(), goroutines), added(openFiles(), files)
			return len(moreGoroutines)+len(moreFiles) == 0
		}) {
			t.Errorf("%s after the end there is still open what was not open before: %s", k.Patience, describe(moreGoroutines, moreFiles))
		}
	})
}

// eventually waits until f is true, and reports whether that came in time.
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

// describe names all files, and shows one goroutine: the others are mostly like it.
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

// added returns the values in after of which the keys are not in before.
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

// goroutines returns the stacks of all goroutines, by their numbers: without the caller's, those to be ignored, and
// those in which Run still waits for the probe, of which it has complained already.
func (k kit) goroutines() map[string]string {
	stacks := allStacks()
	for number, stack := range stacks {
		if contained(stack) || slices.ContainsFunc(k.Ignore, func(function string) bool { return strings.Contains(stack, function) }) {
			delete(stacks, number)
		}
	}
	return stacks
}

// allStacks returns the stacks of all goroutines but the caller's.
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
			stacks[words[1]] = stack // "goroutine 7 [select]:"
		}
	}
	return stacks
}

func contained(stack string) bool {
	return strings.Contains(stack, "github.com/echo-probes/echohealth/probes/probetest.contain(")
}

// stuck returns the stack of a goroutine that Run waits for.
func stuck() string {
	for _, stack := range allStacks() {
		if contained(stack) {
			return stack
		}
	}
	return "it has returned now"
}

// openFiles returns what the process has open, by number and name; nothing away from Linux. The runtime's own two are
// left out, since it opens them when they are first needed, and so is what is gone again, such as the directory that is
// read here.
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
