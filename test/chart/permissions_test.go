package chart

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
)

// rules returns the permissions of the operator in a Role or ClusterRole.
func rules(t *testing.T, all objects, name string) []rbacv1.PolicyRule {
	t.Helper()
	if strings.HasPrefix(name, "ClusterRole") {
		role := &rbacv1.ClusterRole{}
		all.into(t, name, role)
		return role.Rules
	}
	role := &rbacv1.Role{}
	all.into(t, name, role)
	return role.Rules
}

func TestPermissionsAreTheSameInOneNamespaceAndInAll(t *testing.T) {
	everywhere := rules(t, render(t), "ClusterRole /rosey-system:rosey-operator")
	some := render(t, "--set", "watchNamespaces={a,b}")
	for _, name := range []string{"Role a/rosey-operator", "Role b/rosey-operator"} {
		if diff := cmp.Diff(everywhere, rules(t, some, name)); diff != "" {
			t.Errorf("%s (-everywhere +there):\n%s", name, diff)
		}
	}
}

func TestOperatorHasPermissionsOnlyInWatchedNamespaces(t *testing.T) {
	all := render(t, "--set", "watchNamespaces={a,b}")
	for name, object := range all {
		if object.GetKind() == "ClusterRoleBinding" {
			t.Errorf("%s grants permissions in all namespaces", name)
		}
	}
	var granted []string
	for _, namespace := range []string{"a", "b"} {
		binding := &rbacv1.RoleBinding{}
		all.into(t, "RoleBinding "+namespace+"/rosey-operator", binding)
		want := rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "rosey-operator"}
		if binding.RoleRef != want || len(binding.Subjects) != 1 || binding.Subjects[0].Namespace != "rosey-system" {
			t.Errorf("binding in %s: %+v", namespace, binding)
		}
		granted = append(granted, namespace)
	}
	if want := "--watch-namespaces=" + strings.Join(granted, ","); !slices.Contains(arguments(t, all), want) {
		t.Errorf("arguments are %v, want %s", arguments(t, all), want)
	}
}

func TestNoPermissionsForSecretsAndNoWildcards(t *testing.T) {
	all := render(t)
	for name, object := range all {
		if kind := object.GetKind(); kind != "ClusterRole" && kind != "Role" {
			continue
		}
		granted := rules(t, all, name)
		if len(granted) == 0 {
			t.Errorf("%s is empty", name)
		}
		for _, rule := range granted {
			for _, word := range slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs) {
				if word == "*" || strings.HasPrefix(word, "secrets") {
					t.Errorf("%s: rule %v grants %q", name, rule, word)
				}
			}
		}
	}
}

// The cluster's roles view, edit and admin include RoseyBots. With view, they cannot be changed.
func TestUserRoles(t *testing.T) {
	all := render(t)
	for name, want := range map[string]struct{ cluster, verbs []string }{
		"view": {[]string{"view", "edit", "admin"}, []string{"get", "list", "watch"}},
		"edit": {
			[]string{"edit", "admin"}, []string{"create", "delete", "deletecollection", "patch", "update"},
		},
	} {
		role := &rbacv1.ClusterRole{}
		all.into(t, "ClusterRole /rosey-system:rosey-operator:"+name, role)
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
