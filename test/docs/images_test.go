package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	imageName = regexp.MustCompile(`(?m)^(?:FROM|[ \t-]*image:)[ \t]+["']?([^\s"']+)["']?`)
	// exactImage has a version of three numbers, or a digest.
	exactImage = regexp.MustCompile(`:v?\d+\.\d+\.\d+[\w.-]*$|@sha256:[0-9a-f]{64}$`)
)

// An image with a tag that moves is another one tomorrow.
func TestImagesHaveExactVersions(t *testing.T) {
	found := map[string]bool{}
	for _, root := range []string{"Dockerfile", "README.md", "config", "docs"} {
		err := filepath.WalkDir(filepath.Join(repository, root), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || strings.Contains(path, "/config/crd/") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, image := range floating(string(text), found) {
				t.Errorf("%s: image %s: expected an exact version or a digest", path, image)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(found) < 2 {
		t.Errorf("images are %v, expected those of the Dockerfile and of the sample for NATS", found)
	}
}

func TestFloatingImagesAreDetected(t *testing.T) {
	for text, want := range map[string]int{
		"FROM golang AS build\n": 1, "FROM golang:1.26\n": 1, "  image: nats:2-alpine\n": 1,
		"  - image: \"nats:latest\"\n": 1,
		"FROM golang:1.26.8-bookworm AS build\nFROM scratch AS base\nFROM base AS rosey\n": 0,
		"  image: nats:2.15.2-alpine\n": 0, "  image: operator\n": 0, "  image: REGISTRY/rosey:TAG\n": 0,
	} {
		if got := floating(text, map[string]bool{}); len(got) != want {
			t.Errorf("%q: floating images %q, want %d", text, got, want)
		}
	}
}

// floating returns the images of a text that have no exact version, and adds all to found. Stages of a Dockerfile, our
// own images and placeholders have no version.
func floating(text string, found map[string]bool) []string {
	stages := map[string]bool{"scratch": true, "operator": true, "REGISTRY/rosey:TAG": true}
	for _, stage := range regexp.MustCompile(`(?m)^FROM \S+ AS (\S+)`).FindAllStringSubmatch(text, -1) {
		stages[stage[1]] = true
	}
	var wrong []string
	for _, match := range imageName.FindAllStringSubmatch(text, -1) {
		image := match[1]
		if stages[image] {
			continue
		}
		found[image] = true
		if !exactImage.MatchString(image) {
			wrong = append(wrong, image)
		}
	}
	return wrong
}

// The server that the sample runs is the one that the tests run.
func TestSampleHasTheTestedNATSServer(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(repository, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`github\.com/nats-io/nats-server/v2 v(\S+)`).FindSubmatch(text)
	if version == nil {
		t.Fatal("go.mod requires no NATS server")
	}
	sample, err := os.ReadFile(filepath.Join(repository, "config/samples/nats.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if image := "image: nats:" + string(version[1]) + "-alpine\n"; !strings.Contains(string(sample), image) {
		t.Errorf("config/samples/nats.yaml: expected %s", image)
	}
}
