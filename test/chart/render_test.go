package chart

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"rosey.dev/rosey/test/apiservertest"
)

// monitoringAPI makes `helm template` render for a cluster with the Prometheus operator.
const monitoringAPI = "--api-versions=monitoring.coreos.com/v1/PodMonitor"

type objects map[string]*unstructured.Unstructured

// render returns the objects that the chart renders, by "Kind namespace/name".
func render(t *testing.T, arguments ...string) objects {
	t.Helper()
	needTools(t)
	rendered, err := apiservertest.RenderChart(t.Context(), arguments...)
	if err != nil {
		t.Fatal(err)
	}
	found := objects{}
	for _, object := range rendered {
		content := object.(*unstructured.Unstructured)
		found[title(content)] = content
	}
	if len(found) != len(rendered) {
		t.Errorf("two objects have the same name: %d objects, %d names", len(rendered), len(found))
	}
	return found
}

func title(object *unstructured.Unstructured) string {
	return object.GetKind() + " " + object.GetNamespace() + "/" + object.GetName()
}

// names returns the sorted titles of the objects.
func (o objects) names() []string {
	var names []string
	for name := range o {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// into decodes an object, and fails if it has unknown fields.
func (o objects) into(t *testing.T, name string, target any) {
	t.Helper()
	object := o[name]
	if object == nil {
		t.Fatalf("there is no %s, only %v", name, o.names())
	}
	err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, target, true)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}
