package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/job"
)

// goldenObjects returns the objects that the operator builds for a RoseyBot, in YAML, by kind and name.
func goldenObjects(t *testing.T, name string) map[string]string {
	t.Helper()
	golden, err := os.ReadFile("../../controllers/manifests/testdata/" + name + ".golden.yaml")
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string]string{}
	for document := range strings.SplitSeq(string(golden), "\n---\n") {
		var object job.Object
		if err := yaml.Unmarshal([]byte(document), &object); err != nil {
			t.Fatal(err)
		}
		objects[object.Kind+" "+object.Metadata.Name] = document
	}
	return objects
}

// deploymentFile writes the Deployment of a RoseyBot's database service as `kubectl get` prints it.
func deploymentFile(t *testing.T) string {
	t.Helper()
	return writeFile(t, "deployment.yaml", goldenObjects(t, "minimal")["Deployment movienight-db"])
}

// In mode Direct the bot's Deployment has the claim, and its configuration serves the commands for the database.
func TestJobInModeDirect(t *testing.T) {
	file := writeFile(t, "deployment.yaml", goldenObjects(t, "direct")["Deployment movienight-bot"])
	job := expectCall(t, exit.Clean, "", "job", "-f", file, "--", "db", "restore", "/var/lib/rosey/backups/rosey-x.db",
		"--config", "/etc/rosey/bot.yaml")
	for _, want := range []string{
		"name: movienight-bot-restore", "claimName: movienight-db", "mountPath: /var/lib/rosey\n", "- /etc/rosey/bot.yaml",
		"claimName: movienight-backup", "mountPath: /var/lib/rosey-backups\n",
	} {
		if !strings.Contains(job, want) {
			t.Errorf("no %q in\n%s", want, job)
		}
	}
	var configuration struct{ Data map[string]string }
	content := goldenObjects(t, "direct")["ConfigMap movienight-config"]
	if err := yaml.Unmarshal([]byte(content), &configuration); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "rosey")
	own := writeFile(t, "bot.yaml", strings.ReplaceAll(configuration.Data["bot.yaml"], "/var/lib/rosey", dir))
	backup := filepath.Join(dir+"-backups", "movienight", "rosey-0123abcd-20250101T000000Z.db")
	for _, each := range []string{dir, filepath.Dir(backup)} {
		if err := os.MkdirAll(each, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	storeLine(t, dir, "kept")
	expectCall(t, exit.Clean, "copied", "db", "backup", backup, "--config", own)
	expectCall(t, exit.Clean, backup, "db", "backup", "list", "--config", own)
	expectCall(t, exit.Clean, "restored", "db", "restore", backup, "--config", own)
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The Job has the image, the volumes and the security context of the Deployment, and nothing of a service.
func TestJobOfADeployment(t *testing.T) {
	file := deploymentFile(t)
	out := expectCall(t, exit.Clean, "", "job", "-f", file, "--stdin", "--secret", "postgres=/run/postgres", "--",
		"db", "restore", "-", "--config", "/etc/rosey/database.yaml")
	var job, deployment map[string]any
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for data, into := range map[string]*map[string]any{out: &job, string(content): &deployment} {
		if err := yaml.Unmarshal([]byte(data), into); err != nil {
			t.Fatal(err)
		}
	}
	at := func(object any, path ...any) any {
		for _, key := range path {
			switch key := key.(type) {
			case string:
				object = object.(map[string]any)[key]
			case int:
				object = object.([]any)[key]
			}
		}
		return object
	}
	metadata := at(job, "metadata").(map[string]any)
	if metadata["name"] != "movienight-db-restore" || metadata["namespace"] != "fun" ||
		at(metadata, "ownerReferences", 0, "name") != "movienight" {
		t.Errorf("metadata: %v", metadata)
	}
	if owner := at(metadata, "ownerReferences", 0).(map[string]any); owner["controller"] != nil {
		t.Error("the RoseyBot controls the Job: the operator would remove it")
	}
	pod, original := at(job, "spec", "template", "spec"), at(deployment, "spec", "template", "spec")
	container, service := at(pod, "containers", 0).(map[string]any), at(original, "containers", 0).(map[string]any)
	for _, key := range []string{"image", "env", "resources", "securityContext"} {
		if diff := cmp.Diff(service[key], container[key]); diff != "" {
			t.Errorf("%s: %s", key, diff)
		}
	}
	for _, key := range []string{"livenessProbe", "readinessProbe", "ports", "command"} {
		if container[key] != nil {
			t.Errorf("%s: %v", key, container[key])
		}
	}
	if diff := cmp.Diff(at(original, "securityContext"), at(pod, "securityContext")); diff != "" {
		t.Error(diff)
	}
	volumes, originals := at(pod, "volumes").([]any), at(original, "volumes").([]any)
	if diff := cmp.Diff(originals, volumes[:len(volumes)-1]); diff != "" {
		t.Error(diff)
	}
	if at(volumes, len(volumes)-1, "secret", "secretName") != "postgres" {
		t.Errorf("volumes: %v", volumes)
	}
	if at(pod, "restartPolicy") != "Never" || container["stdin"] != true || container["stdinOnce"] != true {
		t.Errorf("restartPolicy and stdin: %v", pod)
	}
	if selector := at(deployment, "spec", "selector", "matchLabels").(map[string]any); selects(t,
		map[string]any{"matchLabels": selector}, at(job, "spec", "template", "metadata", "labels")) {
		t.Error("the Service and the Deployment of the RoseyBot select the Job's pod")
	}
}

// selects reports whether a label selector selects an object with these labels.
func selects(t *testing.T, selector, objectLabels any) bool {
	t.Helper()
	var parsed metav1.LabelSelector
	var set labels.Set
	for from, into := range map[any]any{&selector: &parsed, &objectLabels: &set} {
		text, err := json.Marshal(from)
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	converted, err := metav1.LabelSelectorAsSelector(&parsed)
	if err != nil {
		t.Fatal(err)
	}
	return converted.Matches(set)
}

// Without a policy, the pod of a Job can connect anywhere, and nowhere in a namespace that denies egress by default.
func TestNetworkPolicyOfTheRoseyBotSelectsPodsOfJobs(t *testing.T) {
	for name, deployment := range map[string]string{
		"minimal": "movienight-db", "full": "movienight-db", "direct": "movienight-bot", "shared": "movienight-bot",
	} {
		t.Run(name, func(t *testing.T) {
			objects := goldenObjects(t, name)
			file := writeFile(t, "deployment.yaml", objects["Deployment "+deployment])
			out := expectCall(t, exit.Clean, "", "job", "-f", file, "--", "db", "move")
			var job struct {
				Spec struct {
					Template struct{ Metadata struct{ Labels any } }
				}
			}
			if err := yaml.Unmarshal([]byte(out), &job); err != nil {
				t.Fatal(err)
			}
			var selecting []string
			for key, text := range objects {
				var object struct {
					Spec struct{ PodSelector, Selector any }
				}
				if err := yaml.Unmarshal([]byte(text), &object); err != nil {
					t.Fatal(err)
				}
				if strings.HasPrefix(key, "NetworkPolicy") &&
					selects(t, object.Spec.PodSelector, job.Spec.Template.Metadata.Labels) {
					selecting = append(selecting, key)
				}
			}
			if want := []string{"NetworkPolicy " + deployment}; !slices.Equal(selecting, want) {
				t.Errorf("selected by %q, want %q", selecting, want)
			}
		})
	}
}

// The second Job of the same command is not the first one to `kubectl apply`, which would report it as unchanged.
func TestSecondJobDiffersFromTheFirst(t *testing.T) {
	text := func() string {
		return expectCall(t, exit.Clean, "", "job", "-f", deploymentFile(t), "--", "import", "x.db")
	}
	if first := text(); first == text() {
		t.Error("applying the second Job changes nothing, and runs nothing")
	}
}

func TestJobSaysWhatIsWrong(t *testing.T) {
	file := deploymentFile(t)
	for want, arguments := range map[string][]string{
		"expected the COMMAND":           {"-f", file},
		"--file: expected a file":        {"--", "import", "-"},
		"expected one Deployment":        {"-f", writeFile(t, "x", "kind: List\nitems: []\n"), "--", "import", "-"},
		"in YAML":                        {"-f", writeFile(t, "x", "a: [\n"), "--", "import", "-"},
		"expected spec.template":         {"-f", writeFile(t, "x", "kind: Deployment\nmetadata: {name: x}\n"), "--", "x"},
		`--secret: "x", expected NAME=D`: {"-f", file, "--secret", "x", "--", "import", "-"},
		"--name: ":                       {"-f", file, "--name", strings.Repeat("x", 64), "--", "import", "-"},
	} {
		expectCall(t, exit.Usage, want, append([]string{"job"}, arguments...)...)
	}
	expectCall(t, exit.Failure, "no such file", "job", "-f", "absent.yaml", "--", "import", "-")
}
