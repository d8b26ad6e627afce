package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/runtime/exit"
)

var update = flag.Bool("update", false, "rewrite the table in docs/kubectl.md, or the list of commands")

const (
	document   = "../../docs/kubectl.md"
	beginTable = "<!-- rights: go test ./cmd/kubectl-rosey -run TestRightsDocument -update -->\n"
	endTable   = "<!-- end of rights -->\n"
)

func readDocument(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// rightsTable is the table of docs/kubectl.md.
func rightsTable() string {
	var text strings.Builder
	text.WriteString("| command | without `pods/exec` | needs the rights to | for a part of it, also |\n" +
		"|---|---|---|---|\n")
	for _, verb := range verbs() {
		without := "yes"
		if slices.Contains(verb.rights, execInPods) {
			without = "no"
		}
		fmt.Fprintf(&text, "| `%s` | %s | %s | %s |\n", verb.make(newApp(streams{})).Name(), without,
			rightNames(verb.rights), rightNames(verb.more))
	}
	return text.String()
}

func rightNames(rights []right) string {
	var names []string
	for _, one := range rights {
		name := "`" + one.String() + "`"
		if one.clusterWide {
			name += " (ClusterRole)"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// The table of the rights is that of the commands.
func TestRightsDocument(t *testing.T) {
	text := readDocument(t)
	before, rest, found := strings.Cut(text, beginTable)
	_, after, ended := strings.Cut(rest, endTable)
	if !found || !ended {
		t.Fatalf("%s has no table of rights", document)
	}
	want := before + beginTable + rightsTable() + endTable + after
	if *update {
		if err := os.WriteFile(document, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if text != want {
		t.Errorf("%s has another table of rights: run this test with -update", document)
	}
}

// With the Role of the document, somebody on call can use what needs no program in a pod and changes nothing, and
// nothing else.
func TestRoleForSomebodyOnCall(t *testing.T) {
	needServer(t)
	_, text, found := strings.Cut(readDocument(t), "```yaml\n")
	text, _, ended := strings.Cut(text, "```\n")
	var role rbacv1.Role
	if err := yaml.UnmarshalStrict([]byte(text), &role); err != nil || !found || !ended {
		t.Fatalf("the Role of %s: %v", document, err)
	}
	const user = "somebody-on-call"
	create(t, &role, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	})
	waitGranted(t, user, []right{getBots, listPods, readLogs, forwardPorts})
	code, out, stderr := call(t, "rights", "--as", user, "-o", "json")
	var list []usableVerb
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != exit.Clean {
		t.Fatalf("exit code %d: %v: %s", code, err, stderr)
	}
	var usable []string
	for _, verb := range list {
		if len(verb.Missing) == 0 {
			usable = append(usable, verb.Command)
		}
		if inCluster := []string{getNodes.String(), getDefinitions.String()}; len(verb.MissingParts) > 0 &&
			!slices.Equal(verb.MissingParts, inCluster) {
			t.Errorf("%s lacks %v", verb.Command, verb.MissingParts)
		}
	}
	if want := []string{"status", "logs", "open", "support", "rights", "version"}; !slices.Equal(usable, want) {
		t.Errorf("they can use %v, want %v", usable, want)
	}
}
