package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"
)

// deploymentFile writes the Deployment of a RoseyBot's database service as `kubectl get` prints it.
func deploymentFile(t *testing.T) string {
	t.Helper()
	golden, err := os.ReadFile("../../controllers/manifests/testdata/minimal.golden.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(golden), "\n---\n") {
		if strings.Contains(document, "kind: Deployment\n") && strings.Contains(document, "  name: movienight-db\n") {
			return writeFile(t, "deployment.yaml", document)
		}
	}
	t.Fatal("no Deployment movienight-db")
	return ""
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
	out := expectCall(t, exitClean, "", "job", "-f", file, "--stdin", "--secret", "postgres=/run/postgres", "--",
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
	labels := at(job, "spec", "template", "metadata", "labels").(map[string]any)
	for key, value := range at(deployment, "spec", "selector", "matchLabels").(map[string]any) {
		if labels[key] == value {
			t.Errorf("label %s=%v: the Service of the RoseyBot would select the Job's pod", key, value)
		}
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
		expectCall(t, exitUsage, want, append([]string{"job"}, arguments...)...)
	}
	expectCall(t, exitFailure, "no such file", "job", "-f", "absent.yaml", "--", "import", "-")
}
