package chart

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestExpressionsCompileOnTheLeastKubernetes compiles each CEL expression of the CRD and of the admission policy with
// the functions of the least version of Kubernetes that the chart accepts: an API server of that version would refuse
// the whole object otherwise, and the tests' API server is newer.
func TestExpressionsCompileOnTheLeastKubernetes(t *testing.T) {
	var documents bytes.Buffer
	for _, object := range render(t, "--values", "../admission/testdata/values.yaml") { // with every limit
		document, err := yaml.Marshal(object.Object)
		if err != nil {
			t.Fatal(err)
		}
		documents.WriteString("---\n")
		documents.Write(document)
	}
	text, err := os.ReadFile("../../charts/rosey-operator/Chart.yaml")
	if err != nil {
		t.Fatal(err)
	}
	least := regexp.MustCompile(`(?m)^kubeVersion: ">=(\d+\.\d+)\.0-0"$`).FindSubmatch(text)
	if least == nil {
		t.Fatal("Chart.yaml: no least version in kubeVersion")
	}
	program := celcheck(t)
	output := compileExpressions(t, program, string(least[1]), documents.Bytes(), true)
	kinds := regexp.MustCompile(`(?m)^(\w+) \S+: [1-9]\d* expressions$`).FindAllStringSubmatch(output, -1)
	var found []string
	for _, kind := range kinds {
		found = append(found, kind[1])
	}
	slices.Sort(found)
	const want = "CustomResourceDefinition ValidatingAdmissionPolicy"
	if strings.Join(found, " ") != want {
		t.Errorf("compiled %v, want %s:\n%s", found, want, output)
	}
	// Kubernetes 1.28 has no quantities, which shows that the check can fail.
	output = compileExpressions(t, program, "1.28", documents.Bytes(), false)
	if !strings.Contains(output, "'isQuantity'") {
		t.Errorf("on Kubernetes 1.28: %s", output)
	}
}

// celcheck builds the program, from packages that were compiled for the API server of the tests.
func celcheck(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "celcheck")
	build := exec.CommandContext(t.Context(),
		"bash", "-c", `. ../lib/compile.sh && use_build_flags && go build -ldflags "-s -w" -o "$0" ./celcheck`, program)
	build.Dir = "../../hack/cluster"
	build.Env = append(os.Environ(), "GOWORK=off")
	if output, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building celcheck: %v: %s", err, output)
	}
	return program
}

func compileExpressions(t *testing.T, program, kubernetes string, documents []byte, succeeds bool) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, kubernetes)
	command.Stdin = bytes.NewReader(documents)
	output, err := command.CombinedOutput()
	if (err == nil) != succeeds {
		t.Errorf("Kubernetes %s: %v: %s", kubernetes, err, output)
	}
	return string(output)
}
