package release

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The parts of the OCI's specification of images that a layout consists of.
type (
	descriptor struct {
		MediaType string `json:"mediaType"`
		Digest    string `json:"digest"`
		Size      int    `json:"size"`
		Platform  struct {
			Architecture string `json:"architecture"`
			OS           string `json:"os"`
		} `json:"platform"`
	}
	index struct {
		Manifests   []descriptor      `json:"manifests"`
		Annotations map[string]string `json:"annotations"`
	}
	manifest struct {
		Config descriptor   `json:"config"`
		Layers []descriptor `json:"layers"`
	}
	imageConfig struct {
		Architecture string `json:"architecture"`
		Config       struct {
			User       string            `json:"User"`
			Entrypoint []string          `json:"Entrypoint"`
			Labels     map[string]string `json:"Labels"`
		} `json:"config"`
		RootFS struct {
			DiffIDs []string `json:"diff_ids"`
		} `json:"rootfs"`
	}
)

// checkLayout reads the layout of an image to the last byte, and returns the digest of its index.
func checkLayout(t *testing.T, directory, name string) (digest string) {
	t.Helper()
	layout := filepath.Join(directory, "images", name)
	if got := read(t, layout, "oci-layout"); got != `{"imageLayoutVersion":"1.0.0"}` {
		t.Errorf("%s: oci-layout is %s", name, got)
	}
	top := decode[index](t, []byte(read(t, layout, "index.json")))
	if len(top.Manifests) != 1 {
		t.Fatalf("%s: %d indices, want one", name, len(top.Manifests))
	}
	digest = strings.TrimSpace(read(t, directory, "images", name+".digest"))
	if top.Manifests[0].Digest != digest {
		t.Errorf("%s: the index is %s, and %s.digest says %s", name, top.Manifests[0].Digest, name, digest)
	}
	images := decode[index](t, blob(t, layout, top.Manifests[0]))
	if len(images.Manifests) != 1 || images.Manifests[0].Platform.Architecture != runtime.GOARCH ||
		images.Manifests[0].Platform.OS != "linux" {
		t.Fatalf("%s: images are %+v, want one for this machine", name, images.Manifests)
	}
	checkImage(t, layout, name, images.Manifests[0])
	checkLabels(t, name, images.Annotations)
	return digest
}

func checkImage(t *testing.T, layout, name string, image descriptor) {
	t.Helper()
	parts := decode[manifest](t, blob(t, layout, image))
	config := decode[imageConfig](t, blob(t, layout, parts.Config))
	if got := strings.Join(config.Config.Entrypoint, " "); got != "/bin/"+name || config.Config.User != "65532:65532" ||
		config.Architecture != runtime.GOARCH {
		t.Errorf("%s: config is %+v", name, config)
	}
	checkLabels(t, name, config.Config.Labels)
	if len(parts.Layers) != 1 || len(config.RootFS.DiffIDs) != 1 {
		t.Fatalf("%s: layers are %+v, of %q", name, parts.Layers, config.RootFS.DiffIDs)
	}
	compressed, err := gzip.NewReader(bytes.NewReader(blob(t, layout, parts.Layers[0])))
	if err != nil {
		t.Fatal(err)
	}
	content := sha256.New()
	if _, err := io.Copy(content, compressed); err != nil {
		t.Fatal(err)
	}
	if got := "sha256:" + hex.EncodeToString(content.Sum(nil)); got != config.RootFS.DiffIDs[0] {
		t.Errorf("%s: the layer has the content %s, and the config says %s", name, got, config.RootFS.DiffIDs[0])
	}
}

func checkLabels(t *testing.T, name string, labels map[string]string) {
	t.Helper()
	const key = "org.opencontainers.image."
	for _, label := range []string{"title", "description", "created", "revision"} {
		if labels[key+label] == "" {
			t.Errorf("%s: no label %s among %v", name, label, labels)
		}
	}
	if labels[key+"version"] != version || labels[key+"licenses"] != "Apache-2.0" ||
		labels[key+"source"] != "https://git.example/rosey" {
		t.Errorf("%s: labels are %v", name, labels)
	}
}

// blob reads what a descriptor names, and compares size and digest.
func blob(t *testing.T, layout string, what descriptor) []byte {
	t.Helper()
	content := read(t, layout, "blobs", strings.Replace(what.Digest, ":", "/", 1))
	if got := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(content))); got != what.Digest || len(content) != what.Size {
		t.Errorf("%+v: the content has the digest %s and %d bytes", what, got, len(content))
	}
	return []byte(content)
}

func decode[T any](t *testing.T, text []byte) (value T) {
	t.Helper()
	if err := json.Unmarshal(text, &value); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return value
}
