package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"rosey.dev/rosey/runtime/status"
)

// uses are a use of each verb that comes as far as it needs its rights. There is no kubelet, so what a kubelet does
// fails.
var uses = map[string][]string{
	"status": {"status", "watched"},
	"logs":   {"logs", "watched"}, "open": {"open", "watched", "--component", "bot", "--no-browser"},
	"say": {"say", "watched", "hello"}, "tail": {"tail", "watched"}, "top": {"top", "watched"},
	"user": {"user", "watched", "alice"}, "plugins": {"plugins", "watched"},
	"show": {"show", "watched"}, "dead": {"dead", "list", "watched"},
	"version": {"version"},
}

// grant gives rights in the tests' namespace to a user.
func grant(t *testing.T, user string, rights []right) {
	t.Helper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: user}}
	for _, one := range rights {
		role.Rules = append(role.Rules, one.rule())
	}
	create(t, role, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})
}

// Each verb needs exactly the rights that it declares: with them it says of none that it is missing, and without one of
// them it names that one.
func TestVerbsNeedTheRightsThatTheyDeclare(t *testing.T) {
	needServer(t)
	create(t, newBot("watched"))
	createPod(t, "watched", "watched-bot-1", status.BotComponent)
	createPod(t, "watched", "watched-db-1", status.DatabaseComponent)
	const lack = "you lack the right to "
	for _, verb := range verbs() {
		name := verb.make(newApp(streams{})).Name()
		use := uses[name]
		if len(use) == 0 {
			t.Errorf("%s has no use here", name)
			continue
		}
		needed := slices.Concat(verb.rights, verb.more)
		grant(t, name+"-all", needed)
		for _, one := range needed {
			user := name + "-" + strings.NewReplacer(" ", "-", ".", "-", "/", "-").Replace(one.String())
			grant(t, user, slices.DeleteFunc(slices.Clone(needed), func(other right) bool { return other == one }))
		}
		waitGranted(t, name+"-all", needed)
		_, out, stderr := call(t, append([]string{"--as", name + "-all"}, use...)...)
		if strings.Contains(out+stderr, lack) || strings.Contains(out+stderr, "forbidden") {
			t.Errorf("%s with the rights %v: %s%s", name, needed, out, stderr)
		}
		for _, one := range needed {
			user := name + "-" + strings.NewReplacer(" ", "-", ".", "-", "/", "-").Replace(one.String())
			use := use
			if one == listBots && name == "status" {
				use = []string{"status"} // the list alone needs it
			}
			code, out, stderr := call(t, append([]string{"--as", user}, use...)...)
			if want := lack + one.String() + " in namespace " + films; !strings.Contains(out+stderr, want) || code == exitUsage {
				t.Errorf("%s without the right to %s: exit code %d, %s%s", name, one, code, out, stderr)
			}
		}
	}
}

// waitGranted waits until the API server uses the roles of a user, which it reads after they were created.
func waitGranted(t *testing.T, user string, rights []right) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		app := newApp(streams{})
		app.flags.KubeConfig, app.flags.Namespace, app.flags.Impersonate = &kubeconfig, new(films), &user
		cluster, err := app.connect()
		if err != nil {
			t.Fatal(err)
		}
		missing, err := cluster.missing(t.Context(), films, rights)
		if err == nil && len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s lacks %v: %v", user, missing, err)
		}
	}
}
