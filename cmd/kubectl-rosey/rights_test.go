package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// uses are a use of each verb that comes as far as it needs its rights. There is no kubelet, so what a kubelet does
// fails.
var uses = map[string][]string{
	"status": {"status", "watched"},
	"logs":   {"logs", "watched"}, "open": {"open", "watched", "--component", "bot", "--no-browser"},
	"say": {"say", "watched", "hello"}, "tail": {"tail", "watched"}, "top": {"top", "watched"},
	"user": {"user", "watched", "alice"}, "plugins": {"plugins", "watched"},
	"show": {"show", "watched"}, "dead": {"dead", "list", "watched"}, "backup": {"backup", "list", "watched"},
	"restore": {"restore", "watched", "BACKUP"}, "import": {"import", "watched", "BACKUP"},
	"support": {"support", "watched", "FILE"}, "rights": {"rights"}, "version": {"version"},
}

// grant gives rights to a user: in the tests' namespace, or in the cluster.
func grant(t *testing.T, user string, rights []right) {
	t.Helper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: user}}
	wide := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}}
	for _, one := range rights {
		if one.clusterWide {
			wide.Rules = append(wide.Rules, one.rule())
		} else {
			role.Rules = append(role.Rules, one.rule())
		}
	}
	subjects := []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}
	create(t, role, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
	})
	if len(wide.Rules) == 0 {
		return
	}
	for _, object := range []client.Object{wide, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user}, Subjects: subjects,
		RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
	}} {
		if err := admin.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
}

// userWithout is the name of a user who has all rights of a verb but one.
func userWithout(verb string, one right) string {
	return verb + "-" + strings.NewReplacer(" ", "-", ".", "-", "/", "-").Replace(one.String())
}

// Each verb needs exactly the rights that it declares: with them it says of none that it is missing, and without one of
// them it names that one.
func TestVerbsNeedTheRightsThatTheyDeclare(t *testing.T) {
	needServer(t)
	create(t, newBot("watched"))
	createPod(t, "watched", "watched-bot-1", status.BotComponent)
	createPod(t, "watched", "watched-db-1", status.DatabaseComponent)
	backup := sqliteFile(t)
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
			user := userWithout(name, one)
			grant(t, user, slices.DeleteFunc(slices.Clone(needed), func(other right) bool { return other == one }))
		}
		waitGranted(t, name+"-all", needed)
		callAs := func(user string, use []string) (code int, text string) {
			t.Helper()
			arguments := []string{"--as", user}
			for _, argument := range use {
				switch argument {
				case "BACKUP":
					argument = backup
				case "FILE":
					argument = filepath.Join(t.TempDir(), name)
				}
				arguments = append(arguments, argument)
			}
			code, out, stderr := call(t, arguments...)
			return code, out + stderr
		}
		_, text := callAs(name+"-all", use)
		if strings.Contains(text, lack) || strings.Contains(text, "forbidden") {
			t.Errorf("%s with the rights %v: %s", name, needed, text)
		}
		for _, one := range needed {
			user := userWithout(name, one)
			use := use
			if one == listBots && name == "status" {
				use = []string{"status"} // the list alone needs it
			}
			code, text := callAs(user, use)
			if !strings.Contains(text, lack+one.String()+" in ") || code == exit.Usage {
				t.Errorf("%s without the right to %s: exit code %d, %s", name, one, code, text)
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
