package config_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"k8s.io/kube-openapi/pkg/validation/strfmt"
	"k8s.io/kube-openapi/pkg/validation/validate"
	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// published is the schema that users configure in their editors.
const published = "../../docs/config.schema.json"

func TestPublishedSchemaIsUpToDate(t *testing.T) {
	want, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(published)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("docs/config.schema.json: regenerate it with `rosey config schema` (-want +got):\n%s",
			cmp.Diff(string(want), string(got)))
	}
}

func TestSchemaAndParserAgree(t *testing.T) {
	data, err := os.ReadFile(published)
	if err != nil {
		t.Fatal(err)
	}
	var schema spec.Schema
	if err := yaml.Unmarshal(data, &schema); err != nil {
		t.Fatal(err)
	}
	validator := validate.NewSchemaValidator(&schema, nil, "", strfmt.Default)
	for old, replacements := range map[string][]string{
		"":                 {""},
		"https://CyTu.be/": {"http://127.0.0.1:8080", "cytu.be", "ftp://cytu.be", "https://cytu.be/r/x", "https://u@cytu.be"},
		"movienight":       {"a_b-C9", "movie night", "[a]", "2026", `""`},
		"Rosey":            {"'123'", "Rosey the Robot", "123"},
		"passwordFile":     {"password", "passwordfile"},
		`nats://a:4222`:    {"tls://a", "a:4222", "nats://u:p@a", "http://a"},
		"mine":             {"a-b", "a.b", "_INBOX", "$SYS", "a b"},
		"127.0.0.1:9":      {":9", "9"},
		"logLevel: debug":  {"logLevel: warn", "logLevel: loud", "logLevel: true", "logLevels: warn", "loglevel: warn"},
		"/data/rosey.db":   {"rosey.db", "17"},
		"{sqlite":          {"{postgres"},
		"database:": {
			"commands: {chat: true, pm: false, prefix: '?', cooldownSeconds: 0}\ndatabase:", "commands: {chat: 1}\ndatabase:",
			"commands: {prefix: /x}\ndatabase:", "commands: {prefix: toolong}\ndatabase:",
			"commands: {cooldownSeconds: 3601}\ndatabase:", "commands: {cooldownSeconds: -1}\ndatabase:",
			"commands: {cooldownSeconds: 1.5}\ndatabase:",
			"commands: {ignore: [a], overrides: {a: {rank: 1.5, deny: [b]}}}\ndatabase:", "commands: {ignore: [a b]}\ndatabase:",
			"commands: {overrides: {A: {}}}\ndatabase:", "commands: {overrides: {a: {rank: 256}}}\ndatabase:",
			"plugins: [{name: a, builtin: dice, config: {a: b}}]\ndatabase:", "plugins: [{builtin: dice}]\ndatabase:",
			"plugins: [{name: a, grants: {act: [{verb: kick, rank: 2}]}}]\ndatabase:",
			"plugins: [{name: a, grants: {act: [{rank: 2}]}}]\ndatabase:", "plugins: [{name: a, x: 1}]\ndatabase:",
		},
	} {
		for _, replacement := range replacements {
			document := strings.Replace(full, old, replacement, 1)
			var content any
			if err := yaml.Unmarshal([]byte(document), &content); err != nil {
				t.Fatal(err)
			}
			result := validator.Validate(content)
			_, err := config.Parse([]byte(document), status.DatabaseComponent)
			if result.IsValid() != (err == nil) {
				t.Errorf("%q for %q: schema errors %v, parser error %v", replacement, old, result.Errors, err)
			}
		}
	}
}

func TestKeys(t *testing.T) {
	var flags, variables []string
	for _, key := range config.Keys() {
		if key.Usage == "" {
			t.Errorf("%s is not described in the table of keys", key.Path)
		}
		if strings.Contains(key.Usage, "`") {
			t.Errorf("%s: --help shows what is in back quotes as the name of the flag's value", key.Path)
		}
		if slices.Contains(flags, key.Flag) || slices.Contains(variables, key.Variable) {
			t.Errorf("%s: --%s or %s belongs to another key", key.Path, key.Flag, key.Variable)
		}
		flags, variables = append(flags, key.Flag), append(variables, key.Variable)
	}
	for _, want := range []string{"ROSEY_ACCOUNT_PASSWORD_FILE", "ROSEY_NATS_URL", "ROSEY_LOG_LEVEL"} {
		if !slices.Contains(variables, want) {
			t.Errorf("no variable %s among %v", want, variables)
		}
	}
	for _, never := range []string{"password", "channel-password"} {
		if slices.Contains(flags, never) {
			t.Errorf("a secret on the command line: --%s", never)
		}
	}
}
