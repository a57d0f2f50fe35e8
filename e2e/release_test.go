package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

const rootModule = "github.com/echo-probes/echohealth"

// untagged are the directories of the modules that are never released, because no application imports them.
var untagged = []string{"_example", "bench", "e2e", "tools"}

// TestRelease tests the next release without publishing it. It puts the tagged modules, as they are in the
// working tree, into a module proxy of files. Applications outside the repository require them from there. No
// replace directive is in effect, as for a user of a release.
func TestRelease(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds programs")
	}
	version := "v" + newestVersion(t)
	proxy := t.TempDir()
	modules := taggedModules(t)
	for _, dir := range modules {
		publish(t, proxy, dir, version)
	}
	user := newUser(t, proxy)
	require.Equal(t, rootModule+" "+version+"\n", user.run(t, t.TempDir(), "list", "-m", rootModule+"@latest"))

	t.Run("an application on Echo v4", func(t *testing.T) { user.build(t, "v4", version, rootModule) })
	t.Run("an application on Echo v5", func(t *testing.T) {
		required := user.build(t, "v5", version, rootModule+"/echov5")
		assert.Equal(t, version, required[rootModule], "go get of echov5 must also get the root")
	})
	t.Run("an application that exports metrics", func(t *testing.T) {
		required := user.build(t, "metrics", version, rootModule+"/promhealth", rootModule+"/otelhealth")
		assert.Equal(t, version, required[rootModule])
	})
	t.Run("an application on gRPC", func(t *testing.T) {
		required := user.build(t, "grpc", version, rootModule+"/grpchealth")
		assert.Equal(t, version, required[rootModule], "go get of grpchealth must also get the root")
	})
	t.Run("the command", func(t *testing.T) {
		user.run(t, t.TempDir(), "install", rootModule+"/cmd/healthcheck@"+version)
		assert.FileExists(t, filepath.Join(user.bin, "healthcheck"))
	})
}

// TestTaggedModules verifies that a release needs no change of a go.mod that an application would see.
func TestTaggedModules(t *testing.T) {
	version := "v" + newestVersion(t)
	assert.Contains(t, taggedModules(t), "..")
	for _, dir := range taggedModules(t) {
		file := goMod(t, dir)
		for _, require := range file.Require {
			if isOurs(require.Mod.Path) {
				assert.Equal(t, version, require.Mod.Version, "%s requires the newest version in CHANGELOG.md", file.Module.Mod.Path)
			}
		}
		for _, replace := range file.Replace {
			assert.NotEqual(t, rootModule, file.Module.Mod.Path, "go install refuses a module with a replace")
			assert.True(t, isOurs(replace.Old.Path), "%s: an application does not see the replace of %s", file.Module.Mod.Path, replace.Old.Path)
		}
	}
	assert.Empty(t, goMod(t, "..").Replace)
}

// The changelog must be ready for a tag: it must begin with Unreleased, and then have the newest version.
func TestChangelog(t *testing.T) {
	text := changelog(t)
	headings := regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(text, -1)
	require.Greater(t, len(headings), 1)
	assert.Equal(t, "[Unreleased]", headings[0][1])
	for _, heading := range headings[1:] {
		assert.Regexp(t, `^\[\d+\.\d+\.\d+\] - (\d{4}-\d\d-\d\d|unreleased)$`, heading[1])
	}
	tagged := !strings.Contains(text, "] - unreleased")
	assert.NotEqual(t, tagged, strings.Contains(string(readText(t, "../README.md")), "is not tagged yet"), "the README's Install must state whether there is a tag")
}

func changelog(t *testing.T) string {
	t.Helper()
	return string(readText(t, "../CHANGELOG.md"))
}

// newestVersion returns the first version in the changelog.
func newestVersion(t *testing.T) string {
	t.Helper()
	match := regexp.MustCompile(`(?m)^## \[(\d+\.\d+\.\d+)\]`).FindStringSubmatch(changelog(t))
	require.NotNil(t, match, "CHANGELOG.md has no version")
	return match[1]
}

func isOurs(path string) bool { return path == rootModule || strings.HasPrefix(path, rootModule+"/") }

// taggedModules returns the directories of the modules that are released.
func taggedModules(t *testing.T) []string {
	t.Helper()
	dirs := []string{".."}
	nested, err := filepath.Glob("../*/go.mod")
	require.NoError(t, err)
	for _, path := range nested {
		if dir := filepath.Dir(path); !slices.Contains(untagged, filepath.Base(dir)) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

func goMod(t *testing.T, dir string) *modfile.File {
	t.Helper()
	path := filepath.Join(dir, "go.mod")
	file, err := modfile.Parse(path, readText(t, path), nil)
	require.NoError(t, err)
	return file
}

// publish puts a module into the proxy, in the format of https://go.dev/ref/mod#goproxy-protocol.
func publish(t *testing.T, proxy, dir, version string) {
	t.Helper()
	of := module.Version{Path: goMod(t, dir).Module.Mod.Path, Version: version}
	require.NoError(t, module.Check(of.Path, of.Version))
	escaped, err := module.EscapePath(of.Path)
	require.NoError(t, err)
	into := filepath.Join(proxy, escaped, "@v")
	require.NoError(t, os.MkdirAll(into, 0o755))
	info, err := json.Marshal(map[string]any{"Version": version, "Time": time.Now().UTC()})
	require.NoError(t, err)
	var archive bytes.Buffer
	require.NoError(t, zip.Create(&archive, of, moduleFiles(t, dir)))
	for name, content := range map[string][]byte{
		"list": []byte(version + "\n"), version + ".info": info, version + ".mod": readText(t, filepath.Join(dir, "go.mod")), version + ".zip": archive.Bytes(),
	} {
		require.NoError(t, os.WriteFile(filepath.Join(into, name), content, 0o644))
	}
}

// moduleFile is a file of a module, for package zip.
type moduleFile struct{ path, onDisk string }

func (f moduleFile) Path() string                 { return f.path }
func (f moduleFile) Lstat() (os.FileInfo, error)  { return os.Lstat(f.onDisk) }
func (f moduleFile) Open() (io.ReadCloser, error) { return os.Open(f.onDisk) }

// moduleFiles returns the files of a module: those of its directory, without nested modules and without the
// files that .gitignore excludes.
func moduleFiles(t *testing.T, dir string) []zip.File {
	t.Helper()
	var files []zip.File
	require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if path != dir && (isModule(path) || relative == ".git" || relative == "bin" || strings.HasPrefix(entry.Name(), "_scratch-")) {
				return filepath.SkipDir
			}
			return nil
		}
		if entry.Type().IsRegular() { // .git is a file in a worktree
			files = append(files, moduleFile{filepath.ToSlash(relative), path})
		}
		return nil
	}))
	return files
}

func isModule(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

// user is a new user: the go command with an empty module cache.
type user struct {
	bin         string // the directory into which go install writes programs
	environment []string
}

// newUser returns a user whose go command gets the modules of this repository from the proxy, and their
// dependencies from this machine's module cache. It gets only missing dependencies from the network.
func newUser(t *testing.T, proxy string) *user {
	t.Helper()
	settings, err := exec.Command("go", "env", "GOMODCACHE", "GOPROXY").Output()
	require.NoError(t, err)
	cache, network, _ := strings.Cut(strings.TrimSpace(string(settings)), "\n")
	u := &user{bin: t.TempDir()}
	u.environment = append(os.Environ(),
		"GOPROXY=file://"+filepath.ToSlash(proxy)+",file://"+filepath.ToSlash(cache)+"/cache/download,"+network,
		"GOMODCACHE="+t.TempDir(), "GOBIN="+u.bin, "GOWORK=off", "GOPRIVATE=", "GONOPROXY=", "GOSUMDB=off",
		// With -trimpath a program does not depend on the place of the module cache, so the build cache can be used
		// again.
		"GOFLAGS=-mod=mod -modcacherw -trimpath", "CGO_ENABLED=0")
	return u
}

// build makes an application from a directory in testdata, runs go get for each module, and returns the
// versions that its go.mod requires.
func (u *user) build(t *testing.T, application, version string, get ...string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS("testdata/release/"+application)))
	u.run(t, dir, "mod", "init", "example.com/application")
	for _, path := range get {
		u.run(t, dir, "get", path+"@"+version)
	}
	u.run(t, dir, "build", "-o", os.DevNull, ".")
	required := map[string]string{}
	for _, r := range goMod(t, dir).Require {
		required[r.Mod.Path] = r.Mod.Version
	}
	return required
}

// run runs the go command.
func (u *user) run(t *testing.T, dir string, arguments ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", arguments...)
	command.Dir, command.Env = dir, u.environment
	var complaint strings.Builder
	command.Stderr = &complaint
	output, err := command.Output()
	require.NoError(t, err, "go %s\n%s", strings.Join(arguments, " "), complaint.String())
	return string(output)
}
