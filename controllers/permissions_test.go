package controllers

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/test/apiservertest"
)

// allTestsRun reports whether no flag selects some tests of the package.
func allTestsRun() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list"} {
		if flag.Lookup(name).Value.String() != "" {
			return false
		}
	}
	return true
}

// checkPermissions returns an error if the chart grants the operator a permission that none of the tests has needed.
func checkPermissions(ctx context.Context) error {
	role := &rbacv1.ClusterRole{}
	key := client.ObjectKey{Name: apiservertest.Namespace + ":" + apiservertest.Release}
	if err := rig.admin.Get(ctx, key, role); err != nil {
		return err
	}
	if unused := rig.requests.unused(role.Rules); len(unused) > 0 || len(role.Rules) == 0 {
		return fmt.Errorf("the operator has these permissions, and no test has needed them: %q", unused)
	}
	return nil
}

func (l *requestLog) use(request *http.Request) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.used == nil {
		l.used = map[string]bool{}
	}
	l.used[permission(request)] = true
}

// permission returns the permission that a request needs, as Kubernetes derives it from method and path.
func permission(request *http.Request) string {
	parts := strings.Split(strings.Trim(request.URL.Path, "/"), "/")
	if parts[0] == "apis" && len(parts) > 1 {
		parts = append([]string{"", parts[1]}, parts[min(3, len(parts)):]...) // without the version
	} else {
		parts = append([]string{"", ""}, parts[min(2, len(parts)):]...)
	}
	group, parts := parts[1], parts[2:]
	if len(parts) > 2 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	if len(parts) == 0 {
		return "discovery"
	}
	verb := map[string]string{
		http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete",
		http.MethodGet: "get",
	}[request.Method]
	switch {
	case request.URL.Query().Get("watch") != "":
		verb = "watch"
	case verb == "get" && len(parts) == 1:
		verb = "list"
	}
	resource := parts[0]
	if len(parts) > 2 {
		resource += "/" + parts[2]
	}
	return verb + " " + group + "/" + resource
}

// unused returns the permissions of a role that no request has needed, except those with a reason.
func (l *requestLog) unused(rules []rbacv1.PolicyRule) []string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	var unused []string
	for _, rule := range rules {
		for _, verb := range rule.Verbs {
			for _, resource := range rule.Resources {
				name := verb + " " + rule.APIGroups[0] + "/" + resource
				// An API server without streaming lists has informers list, and then watch.
				streamed := verb == "list" && l.used["watch"+strings.TrimPrefix(name, verb)]
				if !l.used[name] && !streamed && neededWithoutRequest[name] == "" {
					unused = append(unused, name)
				}
			}
		}
	}
	return unused
}

// neededWithoutRequest are the permissions that no request of the tests needs, with the reason for each.
var neededWithoutRequest = map[string]string{
	"delete /persistentvolumeclaims": "an owner reference is set only by who may delete the object, on some API servers",
	"patch events.k8s.io/events":     "an Event that repeats after more than a minute becomes a series",
	"update rosey.dev/roseybots/finalizers": "blockOwnerDeletion is set only by who may update the finalizers of the " +
		"owner, on some API servers",
}
