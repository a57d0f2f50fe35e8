package echohealth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/echo-probes/echohealth"
	"github.com/echo-probes/echohealth/probes"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The tests of this file make real mounts in a separate mount namespace. No other process sees the mounts,
// and they end with the test's child process.

// inOwnMounts runs the test again in a child process with its own mount namespace, and returns true only in
// that child. It skips the test if the namespace can't be made.
func inOwnMounts(t *testing.T) bool {
	t.Helper()
	const child = "ECHOHEALTH_TEST_MOUNTS"
	if os.Getenv(child) == t.Name() {
		return true
	}
	if testing.Short() {
		t.Skip("real mounts are waited for in real time")
	}
	if os.Getuid() != 0 {
		t.Skip("needs root, which alone may mount")
	}
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	command.Env = append(os.Environ(), child+"="+t.Name(), "TMPDIR="+t.TempDir())
	command.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	output, err := command.CombinedOutput()
	if errors.Is(err, syscall.EPERM) {
		t.Skip("needs CAP_SYS_ADMIN, to make a mount namespace: ", err)
	}
	require.NoError(t, err, "%s", output)
	if _, reason, skipped := strings.Cut(string(output), "--- SKIP"); skipped {
		t.Skip("in the child: ", reason)
	}
	return false
}

// run runs a program, and fails the test if the program fails.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	output, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, "%s %s: %s", name, strings.Join(args, " "), output)
}

// mountPoint makes a directory. If there are arguments for mount, it mounts a file system there.
func mountPoint(t *testing.T, args ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if len(args) > 0 {
		run(t, "mount", append(args, dir)...)
		t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	}
	return dir
}

// A diskService is a service with one disk.
type diskService struct {
	health *echohealth.Health
	log    *bytes.Buffer // valid after close
}

func serviceOf(t *testing.T, path string, opts ...echohealth.Option) *diskService {
	t.Helper()
	s := &diskService{log: &bytes.Buffer{}}
	h, err := echohealth.New(append(opts, echohealth.WithDisk("data", path),
		echohealth.WithCPUThreshold(echohealth.Never, echohealth.Never),
		echohealth.WithMemoryThreshold(echohealth.Never, echohealth.Never),
		echohealth.WithLogger(slog.New(slog.NewTextHandler(s.log, nil))))...)
	require.NoError(t, err)
	s.health = h
	t.Cleanup(func() { assert.NoError(t, h.Close()) })
	return s
}

func (s *diskService) check(t *testing.T, name string) echohealth.Check {
	t.Helper()
	for _, check := range s.health.Report(context.Background()).Checks {
		if check.Name == name {
			return check
		}
	}
	require.Fail(t, "no check is named "+name)
	return echohealth.Check{}
}

// becomes waits until the disk has this status and reason. If the status is OK, it also waits for the
// figures, because a disk is OK without figures before its first measurement, which may be late on a busy
// machine.
func (s *diskService) becomes(t *testing.T, status probes.Status, reason probes.Reason) echohealth.Check {
	t.Helper()
	var last echohealth.Check
	require.Eventually(t, func() bool {
		last = s.check(t, "data")
		answered := status != probes.OK || detail(last, "percent") != nil
		return answered && last.Status == status && last.Reason == reason
	}, time.Minute, 50*time.Millisecond, "want %v %s, last %+v", status, reason, &last)
	return last
}

// stays checks that the disk has this status and reason, now and after a new measurement.
func (s *diskService) stays(t *testing.T, status probes.Status, reason probes.Reason) echohealth.Check {
	t.Helper()
	before := s.check(t, "data")
	time.Sleep(1100 * time.Millisecond) // a sample serves for a second
	after := s.check(t, "data")
	for _, check := range []echohealth.Check{before, after} {
		assert.Equal(t, status, check.Status)
		assert.Equal(t, reason, check.Reason)
	}
	return after
}

// logged closes the service and returns its log.
func (s *diskService) logged(t *testing.T) string {
	require.NoError(t, s.health.Close())
	return s.log.String()
}

func detail(check echohealth.Check, key string) any {
	for _, d := range check.Details {
		if d.Key == key {
			return d.Value.Any()
		}
	}
	return nil
}

// systemd's ProcSubset=pid leaves only the processes in /proc, without the figures of the machine.
func TestProcWithoutTheMachine(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	run(t, "mount", "-t", "proc", "-o", "subset=pid", "proc", "/proc")
	s := serviceOf(t, "/", noThreshold)
	measured := func() bool { return detail(s.check(t, "process"), "open_files") != nil }
	require.Eventually(t, measured, time.Minute, 50*time.Millisecond)
	for range 2 {
		for _, name := range []string{"cpu", "memory", "connections", "process"} {
			check := s.check(t, name)
			assert.Equal(t, probes.OK, check.Status, "%+v", check)
			assert.Empty(t, check.Reason)
		}
		assert.Nil(t, detail(s.check(t, "memory"), "percent"))
		assert.Nil(t, detail(s.check(t, "connections"), "active_connections"))
		assert.NotNil(t, detail(s.check(t, "process"), "open_files"))
		time.Sleep(1100 * time.Millisecond) // a sample serves for a second
	}
	assert.Equal(t, echohealth.Healthy, s.health.Report(context.Background()).Status)
}

// hidepid=2 and systemd's ProtectProc=invisible hide the processes of other users, but none of the measured
// figures.
func TestProcWithoutOtherProcesses(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	run(t, "mount", "-t", "proc", "-o", "hidepid=2", "proc", "/proc")
	require.NoError(t, syscall.Setgroups(nil)) // the group root would still see all processes
	require.NoError(t, syscall.Setgid(65534))
	require.NoError(t, syscall.Setuid(65534))
	_, err := os.Stat("/proc/1/stat")
	require.ErrorIs(t, err, os.ErrNotExist)
	s := serviceOf(t, "/", noThreshold)
	measured := func() bool { return detail(s.check(t, "cpu"), "percent") != nil }
	require.Eventually(t, measured, time.Minute, 50*time.Millisecond)
	for name, figure := range map[string]string{
		"cpu": "percent", "memory": "percent", "connections": "active_connections", "process": "open_files",
	} {
		check := s.check(t, name)
		assert.Equal(t, probes.OK, check.Status, "%+v", check)
		assert.NotNil(t, detail(check, figure), name)
	}
}

// On a file system without free inodes no file can be created, even if it has free blocks.
func TestDiskWithoutFreeInodes(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	dir := mountPoint(t, "-t", "tmpfs", "-o", "size=64m,nr_inodes=50", "tmpfs")
	s := serviceOf(t, dir)
	s.becomes(t, probes.OK, "")
	var err error
	for i := 0; err == nil; i++ {
		err = os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600)
	}
	require.ErrorIs(t, err, syscall.ENOSPC)

	full := s.becomes(t, probes.Warning, probes.ReasonAboveThreshold)
	assert.Equal(t, 0.0, detail(full, "percent"))
	assert.Equal(t, 100.0, detail(full, "inodes_percent"))
	critical := serviceOf(t, dir, echohealth.WithDiskThreshold(80, 90))
	critical.becomes(t, probes.Error, probes.ReasonAboveThreshold)
	require.NoError(t, os.Remove(filepath.Join(dir, "0")))
	for i := 1; i < 10; i++ {
		require.NoError(t, os.Remove(filepath.Join(dir, fmt.Sprint(i))))
	}
	s.becomes(t, probes.OK, "")
	assert.Contains(t, s.logged(t),
		"100% of the inodes of the file system of "+dir+" are in use, more than the warning threshold of 90%")
}

// An image never has a free block. Examples are squashfs and an overlay of images only, as in composefs.
func TestDiskThatIsAnImage(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	image := squashfs(t)
	overlay := mountPoint(t, "-t", "overlay", "-o", "lowerdir="+image+":"+mountPoint(t), "overlay")
	for _, dir := range []string{image, overlay} {
		s := serviceOf(t, dir)
		s.becomes(t, probes.OK, "")
		check := s.stays(t, probes.OK, "")
		assert.Equal(t, 100.0, detail(check, "percent"), "it is shown")
	}
}

// squashfs makes an image and mounts it.
func squashfs(t *testing.T) (dir string) {
	t.Helper()
	if _, err := exec.LookPath("mksquashfs"); err != nil {
		if os.Getenv("ECHOHEALTH_REQUIRE_SERVERS") != "" {
			require.Fail(t, "mksquashfs is missing: apt-get install squashfs-tools")
		}
		t.Skip("needs mksquashfs: apt-get install squashfs-tools")
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skip("needs loop devices: ", err)
	}
	source, image := t.TempDir(), filepath.Join(t.TempDir(), "image")
	require.NoError(t, os.WriteFile(filepath.Join(source, "file"), []byte("content"), 0o600))
	run(t, "mksquashfs", source, image, "-quiet", "-no-progress")
	return mountPoint(t, "-t", "squashfs", "-o", "loop,ro", image)
}

// The kernel remounts a file system read-only after an error of the device.
func TestDiskThatIsRemountedReadOnly(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	dir := mountPoint(t, "-t", "tmpfs", "-o", "size=1m", "tmpfs")
	s := serviceOf(t, dir)
	s.becomes(t, probes.OK, "")
	run(t, "mount", "-o", "remount,ro", dir)
	check := s.becomes(t, probes.Warning, probes.ReasonReadOnly)
	assert.Equal(t, 0.0, detail(check, "percent"))
	run(t, "mount", "-o", "remount,rw", dir)
	s.becomes(t, probes.OK, "")
	run(t, "mount", "-o", "remount,ro,bind", dir) // only the mount, not the file system
	s.becomes(t, probes.Warning, probes.ReasonReadOnly)
	assert.Contains(t, s.logged(t), "the file system of "+dir+" has become read-only")
}

// A full disk that is remounted read-only is as bad as before.
func TestFullDiskThatIsRemountedReadOnly(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	dir := mountPoint(t, "-t", "tmpfs", "-o", "size=1m", "tmpfs")
	s := serviceOf(t, dir, echohealth.WithDiskThreshold(80, 90))
	s.becomes(t, probes.OK, "")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "all"), make([]byte, 1<<20), 0o600))
	full := s.becomes(t, probes.Error, probes.ReasonAboveThreshold)
	assert.Equal(t, 100.0, detail(full, "percent"))
	run(t, "mount", "-o", "remount,ro", dir)
	s.stays(t, probes.Error, probes.ReasonAboveThreshold)
	fresh := serviceOf(t, dir, echohealth.WithDiskThreshold(80, 90)) // which has never seen it writable
	fresh.becomes(t, probes.OK, "")
	s.stays(t, probes.Error, probes.ReasonAboveThreshold)
}

// A disk that is read-only from the start is so on purpose, such as a root with readOnlyRootFilesystem.
func TestDiskThatIsReadOnlyFromTheStart(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	dir := mountPoint(t, "-t", "tmpfs", "-o", "size=1m,ro", "tmpfs")
	s := serviceOf(t, dir)
	s.becomes(t, probes.OK, "")
	s.stays(t, probes.OK, "")
}

// noThreshold is for tests that measure the disks of the machine, which may be full.
var noThreshold = echohealth.WithDiskThreshold(echohealth.Never, echohealth.Never)

func TestDiskThatIsUnmounted(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	source := mountPoint(t, "-t", "tmpfs", "-o", "size=1m", "tmpfs")
	mounts := map[string][]string{
		"another file system":                    {"-t", "tmpfs", "-o", "size=1m", "tmpfs"},
		"a directory of the same file system":    {"--bind", t.TempDir()},
		"a mount that is read-only on purpose":   {"-t", "tmpfs", "-o", "size=1m,ro", "tmpfs"},
		"a directory of another one, read-write": {"--bind", source},
	}
	for name, mount := range mounts {
		t.Run(name, func(t *testing.T) {
			dir := mountPoint(t, mount...)
			s := serviceOf(t, dir, noThreshold)
			s.becomes(t, probes.OK, "")
			run(t, "umount", dir)
			check := s.becomes(t, probes.Warning, probes.ReasonUnmounted)
			assert.Empty(t, check.Details, "they would be those of the file system above")
			run(t, "mount", append(mount, dir)...)
			s.becomes(t, probes.OK, "")
			s.stays(t, probes.OK, "")
			assert.Contains(t, s.logged(t), dir+": its file system is not mounted any more")
		})
	}
}

// The path may be below the mount point, and a symbolic link may lead to it.
func TestDiskThatIsUnmountedAboveItsPath(t *testing.T) {
	if !inOwnMounts(t) {
		return
	}
	dir := mountPoint(t)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "a/b"), 0o755))
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(filepath.Join(dir, "a/b"), link))
	mount := func() {
		run(t, "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", dir)
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "a/b"), 0o755))
	}
	s := serviceOf(t, link, noThreshold)
	s.becomes(t, probes.OK, "")
	mount() // the mount comes later
	s.stays(t, probes.OK, "")
	run(t, "umount", dir)
	s.becomes(t, probes.Warning, probes.ReasonUnmounted)
	mount()
	s.becomes(t, probes.OK, "")
	run(t, "umount", dir)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "a")))
	s.becomes(t, probes.Warning, probes.ReasonNotFound)
}
