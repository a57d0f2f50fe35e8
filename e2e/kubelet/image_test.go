package kubelet_test

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	exampleImage = "localhost/example:1"
	serviceImage = "localhost/service:1"
	pauseImage   = "localhost/pause:1"
)

// writeImages writes an archive of images like docker save. Each image is FROM scratch with one static
// program.
func writeImages(t *testing.T, path string) {
	t.Helper()
	file, err := os.Create(path)
	require.NoError(t, err)
	defer file.Close()
	archive := tar.NewWriter(file)
	var manifest []map[string]any
	for _, image := range []struct {
		name, program string
		entrypoint    []string
	}{
		{exampleImage, "example", []string{"/example"}},
		{serviceImage, "service", []string{"/service"}},
		{pauseImage, "service", []string{"/service", "-pause"}},
	} {
		layer := layerOf(t, image.program)
		sum := sha256.Sum256(layer)
		config, err := json.Marshal(map[string]any{
			"architecture": runtime.GOARCH, "os": "linux",
			"config": map[string]any{"Entrypoint": image.entrypoint, "User": "65532:65532"},
			"rootfs": map[string]any{"type": "layers", "diff_ids": []string{"sha256:" + hex.EncodeToString(sum[:])}},
		})
		require.NoError(t, err)
		folder := filepath.Base(image.entrypoint[len(image.entrypoint)-1])
		addFile(t, archive, folder+".tar", 0o644, layer)
		addFile(t, archive, folder+".json", 0o644, config)
		manifest = append(manifest, map[string]any{
			"Config": folder + ".json", "RepoTags": []string{image.name}, "Layers": []string{folder + ".tar"},
		})
	}
	text, err := json.Marshal(manifest)
	require.NoError(t, err)
	addFile(t, archive, "manifest.json", 0o644, text)
	require.NoError(t, archive.Close())
}

// layerOf returns the only layer of an image: the program in the root folder.
func layerOf(t *testing.T, program string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(work, program))
	require.NoError(t, err)
	var layer bytes.Buffer
	archive := tar.NewWriter(&layer)
	addFile(t, archive, program, 0o755, text)
	require.NoError(t, archive.Close())
	return layer.Bytes()
}

func addFile(t *testing.T, archive *tar.Writer, name string, mode int64, text []byte) {
	t.Helper()
	require.NoError(t, archive.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(text))}))
	_, err := archive.Write(text)
	require.NoError(t, err)
}
