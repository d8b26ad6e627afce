package promises_test

import (
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/test/promises"
)

var update = flag.Bool("update", false, "write the lists of what is promised")

// A database of a release has run its migrations: an edited one would make another schema of it than of a new database.
func TestMigrationsOfReleasesAreUnchanged(t *testing.T) {
	t.Parallel()
	var present []string
	for _, store := range []string{"sqlite", "postgres"} {
		directory := "runtime/store/" + store + "/migrations/"
		files, err := filepath.Glob(filepath.Join(promises.Repository, directory, "*"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", directory, len(files), err)
		}
		for _, file := range files {
			present = append(present, fmt.Sprintf("%x  %s", sha256.Sum256(read(t, file)), directory+filepath.Base(file)))
		}
	}
	promises.Compare(t, "migrations", present, *update)
}

// A RoseyBot that one version accepts has its fields and values in the next, and scripts read its conditions.
func TestFieldsOfTheAPIStay(t *testing.T) {
	t.Parallel()
	var crd struct {
		Spec struct {
			Versions []struct {
				Name   string         `json:"name"`
				Schema map[string]any `json:"schema"`
			} `json:"versions"`
		} `json:"spec"`
	}
	file := filepath.Join(promises.Repository, "config/crd/bases/rosey.dev_roseybots.yaml")
	if err := yaml.Unmarshal(read(t, file), &crd); err != nil {
		t.Fatal(err)
	}
	var present []string
	for _, version := range crd.Spec.Versions {
		root, _ := version.Schema["openAPIV3Schema"].(map[string]any)
		present = append(present, fields(version.Name, root)...)
	}
	// Conditions, their reasons and annotations.
	present = append(present, constants(t, "api/v1alpha1")...)
	promises.Compare(t, "api", present, *update)
}

func TestValuesOfTheChartStay(t *testing.T) {
	t.Parallel()
	var schema map[string]any
	readJSON(t, "charts/rosey-operator/values.schema.json", &schema)
	var present []string
	for _, line := range fields("values", schema) {
		// A value that gets no default is required from then on. The error names it.
		if !strings.HasSuffix(line, " optional") {
			present = append(present, line)
		}
	}
	promises.Compare(t, "values", present, *update)
}

// fields returns lines for each field below a schema: its type, whether it is optional, and the values of an
// enumeration. A field that becomes optional is a line more.
func fields(path string, schema map[string]any) (lines []string) {
	if kind, ok := schema["type"].(string); ok {
		lines = append(lines, path+" "+kind)
	}
	values, _ := schema["enum"].([]any)
	for _, value := range values {
		lines = append(lines, fmt.Sprintf("%s = %v", path, value))
	}
	required, _ := schema["required"].([]any)
	properties, _ := schema["properties"].(map[string]any)
	for name, each := range properties {
		property, _ := each.(map[string]any)
		lines = append(lines, fields(path+"."+name, property)...)
		if !slices.Contains(required, any(name)) {
			lines = append(lines, path+"."+name+" optional")
		}
	}
	for key, suffix := range map[string]string{"items": "[]", "additionalProperties": ".*"} {
		if nested, ok := schema[key].(map[string]any); ok {
			lines = append(lines, fields(path+suffix, nested)...)
		}
	}
	return lines
}

// The table in the document is that of the code: cmd/rosey.TestMetricsDocument.
func TestMetricsStay(t *testing.T) {
	t.Parallel()
	row := regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([a-z]+) \\| ([a-z_, ]*) \\|")
	var present []string
	for _, metric := range row.FindAllStringSubmatch(string(read(t, promises.Repository+"/docs/metrics.md")), -1) {
		present = append(present, strings.TrimSpace(fmt.Sprintf("%s %s %s", metric[1], metric[2], metric[3])))
	}
	promises.Compare(t, "metrics", present, *update)
}

// The table in the document is that of the code: cmd/rosey.TestConfigurationDocument.
func TestKeysFlagsAndVariablesStay(t *testing.T) {
	t.Parallel()
	row := regexp.MustCompile("(?m)^\\| `([A-Za-z.]+)` \\| `(--[a-z-]+)` \\| `(ROSEY_[A-Z_]+)` \\|")
	var present []string
	for _, key := range row.FindAllStringSubmatch(string(read(t, promises.Repository+"/docs/configuration.md")), -1) {
		present = append(present, strings.Join(key[1:], " "))
	}
	promises.Compare(t, "configuration", present, *update)
}

func TestNamesOfAlertsStay(t *testing.T) {
	t.Parallel()
	alerts := string(read(t, promises.Repository+"/charts/rosey-operator/files/alerts.yaml"))
	var present []string
	for _, alert := range regexp.MustCompile(`(?m)^ *- alert: (\w+)$`).FindAllStringSubmatch(alerts, -1) {
		present = append(present, alert[1])
	}
	promises.Compare(t, "alerts", present, *update)
}

// The document is that of the handlers: runtime/web.TestOpenAPIDocumentIsOfTheseHandlers.
func TestPathsAndFieldsOfTheWebPageStay(t *testing.T) {
	t.Parallel()
	var document struct {
		Components struct {
			Schemas map[string]map[string]any `json:"schemas"`
		} `json:"components"`
		Paths map[string]map[string]struct {
			Parameters []struct {
				Name string `json:"name"`
			} `json:"parameters"`
		} `json:"paths"`
	}
	readJSON(t, "runtime/web/openapi.json", &document)
	var present []string
	for path, methods := range document.Paths {
		for method, operation := range methods {
			present = append(present, method+" "+path)
			for _, parameter := range operation.Parameters {
				present = append(present, method+" "+path+" ?"+parameter.Name)
			}
		}
	}
	for name, schema := range document.Components.Schemas {
		present = append(present, fields(name, schema)...)
	}
	promises.Compare(t, "web", present, *update)
}

// A client of the version before, and a plugin, know the messages and replies by these names.
func TestMessagesOnNATSStay(t *testing.T) {
	t.Parallel()
	promises.Compare(t, "nats", jsonNames(t, "runtime/bus"), *update)
}

// Scripts read the output of commands with -o json, and /status, by these names.
func TestOutputForScriptsStays(t *testing.T) {
	t.Parallel()
	present := jsonNames(t, "cmd/rosey", "cmd/kubectl-rosey", "runtime/cli", "runtime/status")
	promises.Compare(t, "output", present, *update)
}

// jsonNames returns the fields of the structs in packages, as JSON has them, and the constants that are texts.
func jsonNames(t *testing.T, directories ...string) []string {
	t.Helper()
	lines := constants(t, directories...)
	declarations(t, directories, func(node ast.Node) {
		if spec, ok := node.(*ast.TypeSpec); ok {
			lines = append(lines, jsonFields(spec)...)
		}
	})
	return lines
}

// constants returns the exported constants of packages that are texts.
func constants(t *testing.T, directories ...string) (lines []string) {
	t.Helper()
	declarations(t, directories, func(node ast.Node) {
		if spec, ok := node.(*ast.ValueSpec); ok {
			lines = append(lines, texts(spec)...)
		}
	})
	return lines
}

// declarations calls a function for each declaration in the files of packages, without tests.
func declarations(t *testing.T, directories []string, each func(ast.Node)) {
	t.Helper()
	for _, directory := range directories {
		files, err := filepath.Glob(filepath.Join(promises.Repository, directory, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(parsed, func(node ast.Node) bool {
				each(node)
				return true
			})
		}
	}
}

// jsonFields returns the fields of a struct that have a name in JSON.
func jsonFields(spec *ast.TypeSpec) (lines []string) {
	structure, ok := spec.Type.(*ast.StructType)
	if !ok {
		return nil
	}
	for _, field := range structure.Fields.List {
		if field.Tag == nil {
			continue
		}
		tag, err := strconv.Unquote(field.Tag.Value)
		name, _, _ := strings.Cut(reflect.StructTag(tag).Get("json"), ",")
		if err == nil && name != "" && name != "-" {
			lines = append(lines, spec.Name.Name+"."+name)
		}
	}
	return lines
}

// texts returns exported constants that are texts, such as subjects and reasons: with their type, or else their name.
func texts(spec *ast.ValueSpec) (lines []string) {
	for i, value := range spec.Values {
		literal, ok := value.(*ast.BasicLit)
		if !ok || literal.Kind != token.STRING || !spec.Names[i].IsExported() {
			continue
		}
		what := spec.Names[i]
		if kind, ok := spec.Type.(*ast.Ident); ok {
			what = kind
		}
		lines = append(lines, what.Name+" "+literal.Value)
	}
	return lines
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func readJSON(t *testing.T, file string, into any) {
	t.Helper()
	if err := json.Unmarshal(read(t, filepath.Join(promises.Repository, file)), into); err != nil {
		t.Fatal(err)
	}
}
