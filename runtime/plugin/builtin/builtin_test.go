package builtin_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/plugin/builtin"
)

// A name that a configuration or a RoseyBot may have is that of a plugin that exists, and the other way round.
func TestTheNamesOfBuiltinPluginsAreTheSameEverywhere(t *testing.T) {
	t.Parallel()
	names := builtin.Names()
	if diff := cmp.Diff(names, config.BuiltinNames()); diff != "" {
		t.Errorf("runtime/config/plugins.go has other names than builtin.go (-builtin.go):\n%s", diff)
	}
	if diff := cmp.Diff(names, schemaNames(t)); diff != "" {
		t.Errorf("the enum in api/v1alpha1/plugin_types.go has other names than builtin.go (-builtin.go):\n%s", diff)
	}
	table, err := os.ReadFile("../../../docs/plugins.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.Contains(string(table), "\n| `"+name+"` |") {
			t.Errorf("the table in docs/plugins.md has no %s", name)
		}
	}
}

// schemaNames returns the values of spec.plugins[].builtin in the schema of a RoseyBot, sorted.
func schemaNames(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../../config/crd/bases/rosey.dev_roseybots.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var crd map[string]any
	if err := yaml.Unmarshal(text, &crd); err != nil {
		t.Fatal(err)
	}
	versions, _ := at(crd, "spec", "versions").([]any)
	if len(versions) == 0 {
		t.Fatal("the CRD has no version")
	}
	values, _ := at(versions[0], "schema", "openAPIV3Schema", "properties", "spec", "properties", "plugins", "items",
		"properties", "builtin", "enum").([]any)
	var names []string
	for _, value := range values {
		name, _ := value.(string)
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// at returns the value at a path of keys, or nil.
func at(value any, path ...string) any {
	for _, key := range path {
		object, _ := value.(map[string]any)
		value = object[key]
	}
	return value
}

// An event that a plugin is granted and does not use is one that the whole host may read without need.
func TestBuiltinPluginsAreGrantedTheEventsThatTheyUse(t *testing.T) {
	t.Parallel()
	for _, name := range builtin.Names() {
		p, _ := builtin.New(name)
		granted := slices.Sorted(slices.Values(config.BuiltinGrants(name).Events))
		if !slices.Equal(granted, p.Events()) {
			t.Errorf("%s is granted the events %q, and uses %q", name, granted, p.Events())
		}
	}
}

// Somebody who writes a key or the URL of a webhook in the place of its variable's name must not find it in a log, in
// the state of the RoseyBot, or in an archive.
func TestWrongValuesThatMayBeSecretAreNotShown(t *testing.T) {
	t.Parallel()
	found := 0
	for _, name := range builtin.Names() {
		p, exists := builtin.New(name)
		if !exists {
			t.Fatalf("there is no %s", name)
		}
		for _, setting := range p.Settings() {
			if !strings.Contains(setting.Help, "environment variable") && !strings.Contains(setting.Help, "in YAML") &&
				!strings.HasPrefix(setting.Help, "The URL of") {
				continue
			}
			found++
			if !setting.Hidden {
				t.Errorf("%s: a wrong value of %s is shown", name, setting.Name)
			}
		}
	}
	if found < 4 {
		t.Errorf("%d settings are looked at, expected endpoint, keyVariable, webhook and command.*", found)
	}
}
