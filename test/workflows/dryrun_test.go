package workflows

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"rosey.dev/rosey/test/registry"
)

// runner stands in for a hosted runner: a copy of what the jobs' scripts read, and programs that only record how they
// are called.
type runner struct {
	directory, calls, outputs string
	environment               []string
}

const (
	version = "0.1.0-rc.1"
	// standIn records its call. What it is given on its standard input would be a secret.
	standIn = `#!/usr/bin/env bash
printf '%s' "${0##*/}" >>"$CALLS"
printf ' %s' "$@" >>"$CALLS"
echo >>"$CALLS"
`
)

func newRunner(t *testing.T, host string) *runner {
	t.Helper()
	directory := t.TempDir()
	r := &runner{directory: directory, calls: directory + "/calls", outputs: directory + "/outputs"}
	for _, path := range []string{"hack", "charts", "go.mod", "go.sum", "cmd", "runtime", "api", "test", "LICENSE"} {
		if err := os.Symlink(absolute(t, path), filepath.Join(directory, path)); err != nil {
			t.Fatal(err)
		}
	}
	// The scripts change to their repository: they have to be in the copy.
	if err := os.Remove(directory + "/hack"); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"hack/cluster", "hack/cytube", "hack/lib"} {
		if err := os.MkdirAll(directory+"/hack", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(absolute(t, path), filepath.Join(directory, path)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(directory+"/hack/ci", os.DirFS(repository+"/hack/ci")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"sudo", "make", "gh", "cosign"} {
		writeFile(t, filepath.Join(directory, "bin", name), standIn)
	}
	writeFile(t, r.calls, "")
	r.environment = append(os.Environ(), "PATH="+directory+"/bin:"+os.Getenv("PATH"), "CALLS="+r.calls,
		"DOCKER_CONFIG="+directory+"/docker", "HELM_REGISTRY_CONFIG="+directory+"/helm.json",
		"GITHUB_ACTOR=somebody", "GITHUB_OUTPUT="+r.outputs, "GITHUB_REF_NAME=v"+version,
		"GITHUB_REPOSITORY=Some-Body/rosey", "GITHUB_REPOSITORY_OWNER=Some-Body",
		"GITHUB_SERVER_URL=https://git.example", "REGISTRY_HOST="+host)
	return r
}

// run executes the scripts of a job and returns the calls that they make.
func (r *runner) run(t *testing.T, j job) string {
	t.Helper()
	writeFile(t, r.calls, "")
	for _, s := range j.Steps {
		if s.Run == "" {
			continue
		}
		// As the hosted runner does it.
		command := exec.CommandContext(t.Context(), "bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", s.Run)
		command.Dir, command.Env = r.directory, slices.Clone(r.environment)
		for name, value := range s.Env {
			command.Env = append(command.Env, name+"="+strings.ReplaceAll(value, "${{ github.token }}", "a-token"))
		}
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", s.Run, err, output)
		}
	}
	calls, err := os.ReadFile(r.calls)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(calls), "a-token") {
		t.Errorf("a token is on a command line:\n%s", calls)
	}
	return string(calls)
}

// Whoever can push a tag must not get commands executed by its name, which make and shells read.
func TestATagThatIsNoVersionIsRefused(t *testing.T) {
	t.Parallel()
	r := newRunner(t, "registry.example")
	for _, tag := range []string{"v1$(shell id)", "v1.0.0;id", "v1.0", "v01.0.0", "v1.0.0 ", "1.0.0", "v1.0.0\nid"} {
		command := exec.CommandContext(t.Context(), r.directory+"/hack/ci/build")
		command.Env = append(slices.Clone(r.environment), "GITHUB_REF_NAME="+tag)
		if output, err := command.CombinedOutput(); err == nil || !strings.Contains(string(output), "expected ") {
			t.Errorf("%q: %v, want an error that says what is expected\n%s", tag, err, output)
		}
	}
	if calls, err := os.ReadFile(r.calls); err != nil || len(calls) > 0 {
		t.Errorf("called: %s, %v", calls, err)
	}
}

// The scripts of all jobs run, in the order of a release. Images and chart arrive in a registry; nothing else leaves
// the machine: sudo, make, gh and cosign only record their calls.
func TestScriptsOfAllJobsRun(t *testing.T) {
	bin := os.Getenv("KUBEBUILDER_ASSETS")
	if bin == "" || runtime.GOOS != "linux" {
		t.Skip("needs Helm: set KUBEBUILDER_ASSETS to what `hack/cluster/cluster bin` prints")
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	address := registry.Start(t)
	r := newRunner(t, address)
	all := readWorkflows(t)
	release := all["release.yml"].Jobs
	owner := address + "/some-body"
	signed := func(kind, image string) string { return "cosign sign --yes " + kind + image + "@" + r.output(t, image) }

	want := func(name string, j job, lines ...string) {
		t.Helper()
		if calls, all := r.run(t, j), strings.Join(lines, "\n")+"\n"; calls != all {
			t.Errorf("job %s calls:\n%s\nexpected:\n%s", name, calls, all)
		}
	}
	home := os.Getenv("HOME")
	ids := fmt.Sprintf("%d:%d", os.Getuid(), os.Getgid())
	want("test", all["test.yml"].Jobs["test"],
		"sudo --preserve-env env PATH="+r.directory+"/bin:"+os.Getenv("PATH")+" HOME="+home+" make test",
		"sudo chown -R "+ids+" . "+home+"/.cache "+home+"/go")
	want("govulncheck", all["vulnerabilities.yml"].Jobs["govulncheck"], "make vulncheck")
	want("build", release["build"], "make release VERSION="+version+" REGISTRY="+owner+
		" SOURCE=https://git.example/Some-Body/rosey"+
		" RUNBOOKS=https://git.example/Some-Body/rosey/blob/v"+version+"/docs/runbooks")
	r.makeRelease(t, address)
	r.run(t, release["windows"])
	calls := r.run(t, release["images"])
	expected := strings.Join([]string{
		signed("--recursive ", owner+"/operator"), signed("--recursive ", owner+"/rosey"),
		signed("", owner+"/charts/rosey-operator"), "",
	}, "\n")
	if calls != expected {
		t.Errorf("job images calls:\n%s\nexpected:\n%s", calls, expected)
	}
	want("files", release["files"],
		"cosign sign-blob --yes --bundle dist/checksums.txt.sigstore.json dist/checksums.txt",
		"gh release create v"+version+" --verify-tag --title Rosey "+version+
			" --notes-file dist/release-notes.md --prerelease dist/checksums.txt"+
			" dist/rosey-operator-"+version+".tgz dist/"+archive())
}

// output returns the digest that the job images has for an image or the chart, and checks that the registry has it.
func (r *runner) output(t *testing.T, image string) string {
	t.Helper()
	outputs, err := os.ReadFile(r.outputs)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(image)
	if name == "rosey-operator" {
		name = "chart"
	}
	for line := range strings.Lines(string(outputs)) {
		digest, found := strings.CutPrefix(strings.TrimSpace(line), name+"=")
		if !found {
			continue
		}
		if there := crane(t, "digest", image+":"+version); there != digest {
			t.Errorf("%s is %s in the registry, and %s in the job's outputs", image, there, digest)
		}
		return digest
	}
	t.Errorf("no %s in the job's outputs:\n%s", name, outputs)
	return ""
}

// makeRelease fills dist as hack/release does, with small images.
func (r *runner) makeRelease(t *testing.T, host string) {
	t.Helper()
	dist := r.directory + "/dist"
	for _, name := range []string{"operator", "rosey"} {
		writeFile(t, r.directory+"/"+name, "the program "+name)
		script(t, r.directory, fmt.Sprintf("tar -cf %[1]s.tar %[1]s && mkdir -p dist/images", name))
		source := host + "/source/" + name
		crane(t, "append", "--new_layer", r.directory+"/"+name+".tar", "--new_tag", source)
		crane(t, "pull", "--format", "oci", source, dist+"/images/"+name)
		writeFile(t, dist+"/images/"+name+".digest", crane(t, "digest", source)+"\n")
	}
	script(t, r.directory, "helm package charts/rosey-operator --destination dist --version "+version)
	script(t, r.directory, `go build -ldflags "-X main.version=`+version+`" -o bin/rosey ./cmd/rosey &&
		tar -czf dist/`+archive()+` -C bin rosey`)
	writeFile(t, dist+"/release-notes.md", "notes\n")
	script(t, dist, `find . -type f ! -path './images/*/*' -printf '%P\n' | sort | xargs sha256sum >../sums
		mv ../sums checksums.txt`)
}

func archive() string { return "rosey_" + version + "_linux_" + runtime.GOARCH + ".tar.gz" }

// A file that has changed on the way is not published.
func TestAChangedFileIsNotPublished(t *testing.T) {
	r := newRunner(t, "registry.example")
	sum := sha256.Sum256([]byte("what was made"))
	writeFile(t, r.directory+"/dist/checksums.txt", fmt.Sprintf("%x  install.yaml\n", sum))
	writeFile(t, r.directory+"/dist/install.yaml", "what arrived")
	command := exec.CommandContext(t.Context(), "hack/ci/publish")
	command.Dir, command.Env = r.directory, r.environment
	output, err := command.CombinedOutput()
	calls, _ := os.ReadFile(r.calls)
	if err == nil || len(calls) > 0 {
		t.Errorf("%v: %s\n%s", err, output, calls)
	}
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(repository, path))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

func script(t *testing.T, directory, statements string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", statements)
	command.Dir = directory
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", statements, err, output)
	}
}

func crane(t *testing.T, arguments ...string) string {
	t.Helper()
	arguments = append([]string{"crane"}, arguments...)
	command := exec.CommandContext(t.Context(), repository+"/hack/cluster/cluster", arguments...)
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, err := command.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(arguments, " "), err, &stderr)
	}
	return strings.TrimSpace(string(output))
}
