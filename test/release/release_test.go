package release

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// A release has the same version and the same images in all of its parts. A second one without a registry is made of
// the same programs and images: it asks for their names, and has no install.yaml.
func TestARelease(t *testing.T) {
	needTools(t)
	t.Parallel()
	const source = "SOURCE=https://git.example/rosey"
	directory, _ := makeRelease(t, source, "REGISTRY="+registry, "RUNBOOKS=https://wiki.example/rosey")
	again, output := makeRelease(t, source)
	var images []string
	for _, name := range []string{"operator", "rosey"} {
		images = append(images, registry+"/"+name+"@"+checkLayout(t, directory, name))
	}
	t.Run("chart", func(t *testing.T) { checkChart(t, directory, images) })
	t.Run("manifest", func(t *testing.T) { checkManifest(t, directory, images) })
	t.Run("archives", func(t *testing.T) { checkArchives(t, directory) })
	t.Run("samples and CRD", func(t *testing.T) { checkConfig(t, directory) })
	t.Run("checksums", func(t *testing.T) { checkChecksums(t, directory) })
	t.Run("notes", func(t *testing.T) {
		notes := read(t, directory, "release-notes.md")
		for _, part := range append(images, "sha256sum --check") {
			if !strings.Contains(notes, part) {
				t.Errorf("the notes have no %s:\n%s", part, notes)
			}
		}
	})
	t.Run("without a registry", func(t *testing.T) { checkWithoutRegistry(t, directory, again, output) })
}

func checkWithoutRegistry(t *testing.T, directory, again, output string) {
	t.Helper()
	same := regexp.MustCompile(`(?m)^\w+  (?:images/|.*\.tar\.gz$).*$`)
	first := same.FindAllString(read(t, directory, "checksums.txt"), -1)
	if second := same.FindAllString(read(t, again, "checksums.txt"), -1); !slices.Equal(first, second) || len(first) < 3 {
		t.Errorf("two runs have made\n%s\nand\n%s", strings.Join(first, "\n"), strings.Join(second, "\n"))
	}
	if _, err := os.Stat(filepath.Join(again, "install.yaml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("install.yaml: %v, want none", err)
	}
	if want := "install.yaml is not made"; !strings.Contains(output, want) {
		t.Errorf("no %q in:\n%s", want, output)
	}
	digest := strings.TrimSpace(read(t, again, "images/operator.digest"))
	for values, want := range map[string]string{
		"":               "o.example/a@" + digest,
		",image.tag=own": "o.example/a:own", // whoever names another one gets it
	} {
		rendered := tool(t, "helm", "template", "rosey-operator", filepath.Join(again, "rosey-operator-"+version+".tgz"),
			"--set-string", "image.repository=o.example/a,runtime.image=o.example/b"+values)
		if !strings.Contains(rendered, `image: "`+want+`"`) {
			t.Errorf("with the values %q: no image %s", values, want)
		}
	}
}

func checkChart(t *testing.T, directory string, images []string) {
	t.Helper()
	chart := filepath.Join(directory, "rosey-operator-"+version+".tgz")
	var about struct{ Version, AppVersion, Home string }
	if err := yaml.Unmarshal([]byte(tool(t, "helm", "show", "chart", chart)), &about); err != nil {
		t.Fatal(err)
	}
	if about.Version != version || about.AppVersion != version || about.Home != "https://git.example/rosey" {
		t.Errorf("the chart is %+v, want version %s", about, version)
	}
	rendered := tool(t, "helm", "template", "rosey-operator", chart, "--set", "monitoring.rules.enabled=true")
	for _, want := range []string{
		`image: "` + images[0] + `"`, "--runtime-image=" + images[1] + "\n",
		"runbook_url: https://wiki.example/rosey/RoseyBotNotReady.md", `app.kubernetes.io/version: "` + version + `"`,
	} {
		if !strings.Contains(rendered, want) {
			t.Errorf("no %s in the rendered chart", want)
		}
	}
}

// The manifest has the objects of config/default, with the images of the release.
func checkManifest(t *testing.T, directory string, images []string) {
	t.Helper()
	made := objects(t, read(t, directory, "install.yaml"))
	want := objects(t, tool(t, "kubectl", "kustomize", filepath.Join(repository, "config/default")))
	if made[0].GetKind() != "Namespace" {
		t.Errorf("the first object is a %s, want the namespace of the others", made[0].GetKind())
	}
	if got, want := titles(made), titles(want); !slices.Equal(got, want) {
		t.Errorf("objects are %q, want %q", got, want)
	}
	for _, object := range made {
		if object.GetKind() != "Deployment" {
			continue
		}
		operator := &appsv1.Deployment{}
		text, err := object.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		*operator = decode[appsv1.Deployment](t, text)
		container := operator.Spec.Template.Spec.Containers[0]
		if got := []string{container.Image, container.Env[0].Value}; !slices.Equal(got, images) {
			t.Errorf("images are %q, want %q", got, images)
		}
		if got := operator.Labels["app.kubernetes.io/version"]; got != version {
			t.Errorf("the label for the version is %q", got)
		}
	}
}

func objects(t *testing.T, text string) (all []*unstructured.Unstructured) {
	t.Helper()
	for decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096); ; {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(object); {
		case errors.Is(err, io.EOF):
			return all
		case err != nil:
			t.Fatal(err)
		}
		all = append(all, object)
	}
}

func titles(all []*unstructured.Unstructured) (titles []string) {
	for _, object := range all {
		titles = append(titles, object.GetKind()+" "+object.GetNamespace()+"/"+object.GetName())
	}
	slices.Sort(titles)
	return titles
}

func checkArchives(t *testing.T, directory string) {
	t.Helper()
	archives, err := filepath.Glob(filepath.Join(directory, "*_"+version+"_linux_"+runtime.GOARCH+".tar.gz"))
	if err != nil || len(archives) == 0 {
		t.Fatalf("archives: %v %v", archives, err)
	}
	for _, archive := range archives {
		unpacked := t.TempDir()
		unpack := exec.CommandContext(t.Context(), "tar", "-xzf", archive, "-C", unpacked)
		if output, err := unpack.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", archive, err, output)
		}
		name, _, _ := strings.Cut(filepath.Base(archive), "_")
		output, err := exec.CommandContext(t.Context(), filepath.Join(unpacked, name), "version").CombinedOutput()
		if err != nil || !strings.Contains(string(output), version) {
			t.Errorf("%s version: %v: %s", name, err, output)
		}
		for _, page := range []string{"LICENSE", "README.md"} {
			if read(t, unpacked, page) != read(t, repository, page) {
				t.Errorf("%s of %s is another one", page, archive)
			}
		}
		if name == "rosey" && read(t, unpacked, "rosey.service") != read(t, repository, "config/systemd/rosey.service") {
			t.Errorf("the systemd unit of %s is another one", archive)
		}
	}
}

// Who has only a release finds the samples of the documentation, and the CRD, under the same names.
func checkConfig(t *testing.T, directory string) {
	t.Helper()
	unpacked := t.TempDir()
	archive := filepath.Join(directory, "rosey-config_"+version+".tar.gz")
	unpack := exec.CommandContext(t.Context(), "tar", "-xzf", archive, "-C", unpacked)
	if output, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", archive, err, output)
	}
	for _, path := range []string{"config/samples/guest.yaml", "config/crd/bases/rosey.dev_roseybots.yaml"} {
		if read(t, unpacked, path) != read(t, repository, path) {
			t.Errorf("%s of %s is another one", path, archive)
		}
	}
}

// Each file has its line in checksums.txt, but those in the layouts, whose names are checksums.
func checkChecksums(t *testing.T, directory string) {
	t.Helper()
	var want bytes.Buffer
	err := filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(directory, path)
		if err != nil || entry.IsDir() || name == "checksums.txt" || strings.Count(name, "/") > 1 {
			return err
		}
		fmt.Fprintf(&want, "%x  %s\n", sha256.Sum256([]byte(read(t, path))), name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, directory, "checksums.txt"); got != want.String() {
		t.Errorf("checksums.txt is\n%s\nwant\n%s", got, want.String())
	}
}

// A wrong setting ends the run before it makes anything.
func TestSettingsAreChecked(t *testing.T) {
	t.Parallel()
	for setting, want := range map[string]string{
		"VERSION=v1.2.3":        "VERSION: expected X.Y.Z",
		"VERSION=1.2":           "VERSION: expected X.Y.Z",
		"VERSION=1.2.3+4":       "VERSION: expected X.Y.Z",
		"VERSION=1.2.3 -x":      "VERSION: expected X.Y.Z",
		"REGISTRY=Example/x":    "REGISTRY: expected HOST/PATH",
		"REGISTRY=https://a/b":  "REGISTRY: expected HOST/PATH",
		"REGISTRY=a/b|e id":     "REGISTRY: expected HOST/PATH",
		"RUNBOOKS=wiki":         "RUNBOOKS: expected a URL",
		"SOURCE=git@a.example:": "SOURCE: expected a URL",
	} {
		directory := filepath.Join(t.TempDir(), "dist")
		output, err := hackRelease(t.Context(), []string{"--host-only", "--output", directory}, setting)
		if err == nil || !strings.Contains(output, want) {
			t.Errorf("%s: %v, want %q in: %s", setting, err, want, output)
		}
		if _, err := os.Stat(directory); err == nil {
			t.Errorf("%s: something was made", setting)
		}
	}
}

// --output removes what a release has made, and nothing else. A release that somebody has downloaded has no images.
func TestNoDirectoryOfOthersIsRemoved(t *testing.T) {
	t.Parallel()
	for _, names := range [][]string{
		{"precious"}, {"checksums.txt", "precious"}, {"checksums.txt", "rosey_0.1.0_linux_amd64.tar.gz"},
		{"checksums.txt", "images/operator.digest", "precious"},
	} {
		directory := t.TempDir()
		for _, name := range names {
			file := filepath.Join(directory, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		output, err := hackRelease(t.Context(), []string{"--host-only", "--output", directory})
		if err == nil || !strings.Contains(output, "expected a directory that is empty") {
			t.Errorf("%q: %v: %s", names, err, output)
		}
		for _, name := range names {
			if _, err := os.Stat(filepath.Join(directory, name)); err != nil {
				t.Error(err)
			}
		}
	}
}

// The version comes from the tag, and that of a tree without one is between the releases before and after it.
func TestVersionOfATree(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	for _, step := range []struct{ commands, want string }{
		{":", `0\.1\.0-dev\.0\.dirty\.\d+`}, // no repository
		{"git init -q && touch a && git add a && git commit -qm a", `0\.1\.0-dev\.1\.g[0-9a-f]{8}`},
		{"echo b >a", `0\.1\.0-dev\.1\.g[0-9a-f]{8}\.dirty\.\d+`},
		{"git commit -qam b && git tag v0.1.0-rc.1", `0\.1\.0-rc\.1`},
		{"git commit -q --allow-empty -m c", `0\.1\.0-rc\.1\.dev\.1\.g[0-9a-f]{8}`},
		{"git tag v0.1.9 && git tag other", `0\.1\.9`},
		{"echo c >a", `0\.1\.10-dev\.0\.g[0-9a-f]{8}\.dirty\.\d+`},
		{"git commit -qam d && git commit -q --allow-empty -m e", `0\.1\.10-dev\.2\.g[0-9a-f]{8}`},
	} {
		library, err := filepath.Abs(filepath.Join(repository, "hack/lib/version.sh"))
		if err != nil {
			t.Fatal(err)
		}
		command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c",
			step.commands+`; . "$0"; found=$(tree_version); check_version "$found"; echo "$found"`, library)
		command.Dir = directory
		command.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(directory), "GIT_CONFIG_GLOBAL=/dev/null",
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b.example", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b.example")
		output, err := command.CombinedOutput()
		if err != nil || !regexp.MustCompile(`^`+step.want+`\n$`).Match(output) {
			t.Errorf("after %s: %v: version is %s, want %s", step.commands, err, output, step.want)
		}
	}
}
