package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

const (
	// typed is what the reader types at a prompt: the password of MyBot's account unless the page says otherwise.
	typed = "typed-by-a-reader"
	// pageLimit bounds one page. The kubelet alone may take more than a minute to update a changed Secret in a pod.
	pageLimit = 6 * time.Minute
)

// The documented commands uninstall, install and upgrade the operator.
func TestOperatorPages(t *testing.T) {
	needCluster(t)
	reader := newReader(t, "docs-operator")
	reader.follow(t, "docs/tasks/uninstall.md") // the following pages install the operator again
	reader.follow(t, "docs/tasks/install.md")
	reader.follow(t, "docs/tasks/upgrade.md")
	waitReady(t, demoBot)
}

// Every page's commands work in the order in which the page has them, each page in its own namespace.
func TestTaskPages(t *testing.T) {
	needCluster(t)
	t.Parallel()
	first := newReader(t, "docs-readme")
	removeAtEnd(t, "nats") // created by the page
	first.follow(t, "docs/tasks/nats.md")
	first.follow(t, "README.md")

	done := []string{"uninstall.md", "install.md", "upgrade.md", "nats.md"}
	tasks, err := filepath.Glob(filepath.Join(repository, "docs/tasks/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range tasks {
		page := filepath.Base(path)
		if slices.Contains(done, page) {
			continue
		}
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			newReader(t, "docs-"+strings.TrimSuffix(page, ".md")).follow(t, "docs/tasks/"+page)
		})
	}
	t.Run("kubectl.md", func(t *testing.T) {
		t.Parallel()
		newReader(t, "docs-kubectl").follow(t, "docs/kubectl.md")
	})
	t.Run("runbooks", func(t *testing.T) {
		t.Parallel()
		followRunbooks(t)
	})
}

// followRunbooks follows all runbooks with one bot.
func followRunbooks(t *testing.T) {
	t.Helper()
	reader := newReader(t, "docs-runbooks")
	reader.run(t, "the set-up", "kubectl apply -f config/samples/guest.yaml\n"+
		"kubectl wait roseybot/mychannel --for=condition=Ready --timeout=2m")
	runbooks, err := filepath.Glob(filepath.Join(repository, "docs/runbooks/*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range runbooks {
		reader.follow(t, "docs/runbooks/"+filepath.Base(path))
	}
}

// reader runs the commands of pages, with a CyTube server in the reader's namespace in place of cytu.be.
type reader struct {
	space, folder string
	own           placeholders
}

func newReader(t *testing.T, space string) *reader {
	t.Helper()
	r := &reader{space: space, folder: t.TempDir()}
	tag := operatorTag(t)
	r.own = placeholders{
		"REGISTRY": "rosey.local", "TAG": tag, "VERSION": tag, "NAMESPACE": space, "NAME": "mychannel",
		"POD": "$(kubectl get pods -l rosey.dev/roseybot=mychannel -o name | sed -n 1p)",
	}
	createNamespace(t, space, map[string]string{"nats": "enabled"}) // as docs/tasks/nats.md says
	r.provideChart(t)
	if err := os.CopyFS(filepath.Join(r.folder, "config"), os.DirFS(filepath.Join(repository, "config"))); err != nil {
		t.Fatal(err)
	}
	r.adaptSamples(t)
	r.write(t, "typed", typed)
	r.write(t, "accounts.yaml", fmt.Sprintf("[{name: MyBot, password: %s, rank: 3}]", typed))
	r.writeKubeconfig(t)
	manifest, err := os.ReadFile(filepath.Join(repository, "hack/demo/manifests/cytube.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	r.write(t, "cytube.yaml", strings.Replace(string(manifest), "image: IMAGE", "image: "+demoImage(t, "cytube"), 1))
	r.run(t, "the set-up", "kubectl create secret generic cytube-accounts --from-file=accounts.yaml\n"+
		"kubectl apply -f cytube.yaml\nkubectl rollout status deployment/cytube --timeout=2m")
	return r
}

// provideChart provides the chart of the working tree, or that of the release, as a package and unpacked.
func (r *reader) provideChart(t *testing.T) {
	t.Helper()
	charts := filepath.Join(r.folder, "charts")
	if cluster.release == "" {
		if err := os.Symlink(absolute(t, "charts"), charts); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.Symlink(cluster.chart, filepath.Join(r.folder, filepath.Base(cluster.chart))); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(charts, 0o700); err != nil {
		t.Fatal(err)
	}
	unpack := exec.CommandContext(t.Context(), "tar", "--extract", "--file", cluster.chart, "--directory", charts)
	if output, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("unpacking %s: %v\n%s", cluster.chart, err, output)
	}
}

// adaptSamples sets the CyTube server of this namespace and the cluster's images in the samples.
func (r *reader) adaptSamples(t *testing.T) {
	t.Helper()
	samples, err := filepath.Glob(filepath.Join(r.folder, "config/samples/*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	images, image := regexp.MustCompile(`image: nats:\S+`), "image: "+demoImage(t, "nats")
	for _, path := range samples {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		adapted := images.ReplaceAllLiteralString(string(text), image)
		if !strings.Contains(adapted, "    server: ") {
			adapted = strings.Replace(adapted, "  channel:\n", "  channel:\n    server: http://cytube:8880\n", 1)
		}
		if err := os.WriteFile(path, []byte(adapted), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// writeKubeconfig makes the reader's namespace kubectl's default.
func (r *reader) writeKubeconfig(t *testing.T) {
	t.Helper()
	kubeconfig, err := clientcmd.LoadFromFile(cluster.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig.Contexts[kubeconfig.CurrentContext].Namespace = r.space
	if err := clientcmd.WriteToFile(*kubeconfig, filepath.Join(r.folder, "kubeconfig")); err != nil {
		t.Fatal(err)
	}
}

func (r *reader) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.folder, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// follow runs a page's commands.
func (r *reader) follow(t *testing.T, page string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(repository, page))
	if err != nil {
		t.Fatal(err)
	}
	if needsPostgres.Match(text) {
		needLocalCluster(t)
		loadPostgres(t)
	}
	script := pageScript(string(text), r.own)
	if strings.TrimSpace(script) == "" {
		t.Logf("%s has no commands for a cluster", page)
		return
	}
	r.run(t, page, script)
}

var needsPostgres = regexp.MustCompile(`test/e2e/testdata/postgres\.yaml`)

// run runs a script in bash. The first command that fails ends the test and is reported with page and line.
func (r *reader) run(t *testing.T, title, script string) {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	rosey, err := roseyProgram()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), pageLimit)
	defer cancel()
	r.write(t, "script", script)
	// Each program that opens /dev/stdin reads this file from its start, as if the text were typed again.
	input, err := os.Open(filepath.Join(r.folder, "typed"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = input.Close() }()
	command := exec.CommandContext(ctx, "bash", "-c", `set -Eeuo pipefail
		trap 'echo "FAILED: line $LINENO: $BASH_COMMAND" >&2' ERR
		source ./script`)
	endWithGroup(command)
	command.Dir, command.Stdin = r.folder, input
	command.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(r.folder, "kubeconfig"),
		"PATH="+bin+":"+rosey+":"+os.Getenv("PATH"), "TYPED="+input.Name(), "REPOSITORY="+absolute(t, "."))
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	begin := time.Now()
	err = command.Run()
	endGroup(command)
	if err != nil {
		seen, _ := tool(t, "kubectl", "", "--namespace", r.space, "get", "pods,roseybots", "--output", "wide")
		t.Fatalf("%s: %v\n%s\n%s", title, err, out.Bytes(), seen)
	}
	t.Logf("%s: %s", title, time.Since(begin).Round(time.Second))
}

// endWithGroup gives a command a process group of its own, which ends with its context. What a page has in the
// background keeps the command's output open: when the page fails or takes too long, the command would not end before
// that does. Ctrl-C does not reach the group, so the command also ends with the tests.
func endWithGroup(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = 5 * time.Second
}

// endGroup ends what a command of endWithGroup has left in the background.
func endGroup(command *exec.Cmd) {
	if command.Process != nil {
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL) // there may be nothing
	}
}

// operatorTag returns the tag of the operator's image, which is that of the bots, too.
func operatorTag(t *testing.T) string {
	t.Helper()
	if cluster.release != "" {
		return strings.TrimSuffix(strings.TrimPrefix(filepath.Base(cluster.chart), "rosey-operator-"), ".tgz")
	}
	var values struct {
		Image struct{ Tag string }
	}
	if err := json.Unmarshal([]byte(helm(t, "get", "values", release, "--output", "json")), &values); err != nil {
		t.Fatal(err)
	}
	return values.Image.Tag
}

// demoImage returns the image of one of the demo's Deployments.
func demoImage(t *testing.T, deployment string) string {
	t.Helper()
	image, err := tool(t, "kubectl", "", "--namespace", namespace, "get", "deployment", deployment,
		"--output", "jsonpath={.spec.template.spec.containers[0].image}")
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	full, err := filepath.Abs(filepath.Join(repository, path))
	if err != nil {
		t.Fatal(err)
	}
	return full
}
