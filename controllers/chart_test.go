package controllers

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"rosey.dev/rosey/controllers/apiservertest"
	"rosey.dev/rosey/controllers/manifests"
)

// renderChart returns the chart's objects as "kind namespace/name".
func renderChart(t *testing.T, arguments ...string) map[string]*unstructured.Unstructured {
	t.Helper()
	if reason := apiservertest.Missing(); reason != "" {
		t.Skip(reason)
	}
	objects, err := apiservertest.RenderChart(t.Context(), arguments...)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*unstructured.Unstructured{}
	for _, object := range objects {
		content, _ := object.(*unstructured.Unstructured)
		found[content.GetKind()+" "+content.GetNamespace()+"/"+content.GetName()] = content
	}
	return found
}

func kinds(objects map[string]*unstructured.Unstructured) []string {
	var names []string
	for name := range objects {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func TestChartGrantsRightsInWatchedNamespacesOnly(t *testing.T) {
	want := []string{
		"ClusterRole /rosey-system:rosey-operator",
		"ClusterRole /rosey-system:rosey-operator:edit",
		"ClusterRole /rosey-system:rosey-operator:view",
		"CustomResourceDefinition /roseybots.rosey.dev",
		"Deployment rosey-system/rosey-operator",
		"NetworkPolicy rosey-system/rosey-operator",
		"Role rosey-system/rosey-operator-leader-election",
		"RoleBinding a/rosey-operator",
		"RoleBinding b/rosey-operator",
		"RoleBinding rosey-system/rosey-operator-leader-election",
		"ServiceAccount rosey-system/rosey-operator",
	}
	if diff := cmp.Diff(want, kinds(renderChart(t, "--set", "watchNamespaces={a,b}"))); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	want = []string{
		"ClusterRole /rosey-system:rosey-operator",
		"ClusterRole /rosey-system:rosey-operator:edit",
		"ClusterRole /rosey-system:rosey-operator:view",
		"ClusterRoleBinding /rosey-system:rosey-operator",
		"Deployment rosey-system/rosey-operator",
		"Role rosey-system/rosey-operator-leader-election",
		"RoleBinding rosey-system/rosey-operator-leader-election",
		"ServiceAccount rosey-system/rosey-operator",
	}
	least := renderChart(t, "--set", "crds.install=false,networkPolicy.enabled=false")
	if diff := cmp.Diff(want, kinds(least)); diff != "" {
		t.Errorf("objects without CRD and policy (-want +got):\n%s", diff)
	}
}

func TestChartGrantsNothingAboutSecrets(t *testing.T) {
	rendered := renderChart(t)["ClusterRole /rosey-system:rosey-operator"]
	role := &rbacv1.ClusterRole{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(rendered.Object, role); err != nil {
		t.Fatal(err)
	}
	if len(role.Rules) == 0 {
		t.Fatal("the role is empty")
	}
	for _, rule := range role.Rules {
		for _, word := range slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs) {
			if word == "*" || strings.HasPrefix(word, "secrets") {
				t.Errorf("rule %v grants %q", rule, word)
			}
		}
	}
}

// People with the cluster's own roles may use RoseyBots; who may only look may change nothing.
func TestChartsRolesForPeople(t *testing.T) {
	objects := renderChart(t)
	for name, want := range map[string]struct{ cluster, verbs []string }{
		"view": {[]string{"view", "edit", "admin"}, []string{"get", "list", "watch"}},
		"edit": {
			[]string{"edit", "admin"}, []string{"create", "delete", "deletecollection", "patch", "update"},
		},
	} {
		role := &rbacv1.ClusterRole{}
		rendered := objects["ClusterRole /rosey-system:rosey-operator:"+name]
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(rendered.Object, role); err != nil {
			t.Fatal(err)
		}
		for _, cluster := range []string{"view", "edit", "admin"} {
			got := role.Labels["rbac.authorization.k8s.io/aggregate-to-"+cluster] == "true"
			if got != slices.Contains(want.cluster, cluster) {
				t.Errorf("%s is part of the cluster's %s: %t", name, cluster, got)
			}
		}
		verbs := map[string]bool{}
		for _, rule := range role.Rules {
			for _, verb := range rule.Verbs {
				verbs[verb] = true
			}
		}
		if diff := cmp.Diff(want.verbs, slices.Sorted(maps.Keys(verbs))); diff != "" {
			t.Errorf("verbs of %s (-want +got):\n%s", name, diff)
		}
	}
}

// The bots' network policies let the operator in by its labels.
func TestChartsOperatorIsLetIn(t *testing.T) {
	deployment := renderChart(t)["Deployment rosey-system/rosey-operator"]
	labels, _, err := unstructured.NestedStringMap(deployment.Object, "spec", "template", "metadata", "labels")
	if err != nil {
		t.Fatal(err)
	}
	set, err := manifests.Build(newBot("fun"), manifests.Params{OperatorNamespace: apiservertest.Namespace})
	if err != nil {
		t.Fatal(err)
	}
	policy, _ := set.Bot[0].(*networkingv1.NetworkPolicy)
	for key, value := range policy.Spec.Ingress[0].From[0].PodSelector.MatchLabels {
		if labels[key] != value {
			t.Errorf("label %s of the operator is %q, want %q", key, labels[key], value)
		}
	}
}

func TestChartRefusesWrongValues(t *testing.T) {
	if reason := apiservertest.Missing(); reason != "" {
		t.Skip(reason)
	}
	for value, want := range map[string]string{
		"replica=2":           "'replica' not allowed",
		"runtime.imag=x":      "'imag' not allowed",
		"logLevel=loud":       "logLevel",
		"watchNamespaces={A}": "watchNamespaces/0",
	} {
		_, err := apiservertest.RenderChart(t.Context(), "--set", value)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("--set %s: error is %v, want %q", value, err, want)
		}
	}
}
