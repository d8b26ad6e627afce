package chart

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"rosey.dev/rosey/test/apiservertest"
)

// config/ has the same objects as the chart with its default values.
func TestKustomizeMatchesTheChart(t *testing.T) {
	chart, config := map[string]any{}, map[string]any{}
	for _, object := range render(t) {
		object = normalize(object)
		chart[title(object)] = object.Object
	}
	for _, object := range kustomize(t) {
		if object.GetKind() == "Namespace" { // Helm makes it by --create-namespace
			continue
		}
		object = normalize(object)
		config[title(object)] = object.Object
	}
	if diff := cmp.Diff(chart, config); diff != "" {
		t.Errorf("(-chart +config):\n%s", diff)
	}
}

func kustomize(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	command := exec.CommandContext(t.Context(), filepath.Join(os.Getenv(apiservertest.AssetsVariable), "kubectl"),
		"kustomize", "../../config/default")
	var problems bytes.Buffer
	command.Stderr = &problems
	text, err := command.Output()
	if err != nil {
		t.Fatalf("kubectl kustomize: %v: %s", err, problems.String())
	}
	var out []*unstructured.Unstructured
	for decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(object); {
		case errors.Is(err, io.EOF):
			return out
		case err != nil:
			t.Fatal(err)
		}
		out = append(out, object)
	}
}

// Until the images are named, no node can pull any: an image's name has no upper case.
func TestKustomizeNamesNoImage(t *testing.T) {
	needTools(t)
	want := []string{"REGISTRY/operator:TAG", "REGISTRY/rosey:TAG"}
	for _, object := range kustomize(t) {
		if object.GetKind() != "Deployment" {
			continue
		}
		all := objects{"it": object}
		operator := &appsv1.Deployment{}
		all.into(t, "it", operator)
		container := operator.Spec.Template.Spec.Containers[0]
		if got := []string{container.Image, container.Env[0].Value}; !slices.Equal(got, want) {
			t.Errorf("images are %q, want %q", got, want)
		}
		return
	}
	t.Error("there is no Deployment")
}

// normalize removes intended differences: the labels of Helm, the namespace in the names of cluster-scoped objects, the
// image, and settings that are flags in the chart and environment variables or defaults in config/.
func normalize(object *unstructured.Unstructured) *unstructured.Unstructured {
	unstructured.RemoveNestedField(object.Object, "metadata", "labels")
	unstructured.RemoveNestedField(object.Object, "metadata", "annotations")
	object.SetName(normalizeName(object.GetName()))
	if name, found, _ := unstructured.NestedString(object.Object, "roleRef", "name"); found {
		_ = unstructured.SetNestedField(object.Object, normalizeName(name), "roleRef", "name")
	}
	for _, labels := range [][]string{
		{"spec", "selector", "matchLabels"},
		{"spec", "podSelector", "matchLabels"},
		{"spec", "template", "metadata", "labels"},
	} {
		for _, label := range []string{
			"app.kubernetes.io/instance", "app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart",
		} {
			unstructured.RemoveNestedField(object.Object, append(labels, label)...)
		}
	}
	containers, found, _ := unstructured.NestedSlice(object.Object, "spec", "template", "spec", "containers")
	if !found {
		return object
	}
	for _, container := range containers {
		delete(container.(map[string]any), "image")
		delete(container.(map[string]any), "args")
		delete(container.(map[string]any), "env")
		delete(container.(map[string]any), "imagePullPolicy")
	}
	_ = unstructured.SetNestedSlice(object.Object, containers, "spec", "template", "spec", "containers")
	return object
}

func normalizeName(name string) string {
	return strings.ReplaceAll(strings.TrimPrefix(name, "rosey-system:"), ":", "-")
}
