// Command apidocs writes docs/api.md: the fields of a RoseyBot from its CRD, the conditions and reasons from the code.
package main

import (
	"fmt"
	"os"
	"slices"
	"sort"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

const (
	conditionsFile = "api/v1alpha1/conditions.go"
	reasonsFile    = "runtime/status/reasons.go"
)

// whole are the fields that have a type of Kubernetes, which its own reference describes.
var whole = []string{
	"affinity", "tolerations", "topologySpreadConstraints", "resources", "extraEnv", "podSecurityContext", "egress",
	"imagePullSecrets", "conditions",
}

func main() {
	var page strings.Builder
	err := write(&page, os.Args[len(os.Args)-1])
	if err == nil {
		_, err = os.Stdout.WriteString(page.String())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "apidocs:", err)
		os.Exit(1)
	}
}

// write takes the path of the CRD.
func write(out *strings.Builder, crdFile string) error {
	text, err := os.ReadFile(crdFile) //nolint:gosec // the path is an argument of ours
	if err != nil {
		return fmt.Errorf("reading the CRD: %w", err)
	}
	crd := &apiextensionsv1.CustomResourceDefinition{}
	if err := yaml.UnmarshalStrict(text, crd); err != nil {
		return fmt.Errorf("reading %s: %w", crdFile, err)
	}
	version := crd.Spec.Versions[0]
	schema := version.Schema.OpenAPIV3Schema
	fmt.Fprintf(out, "# API reference\n\nMade by `hack/generate.sh` from the types in `api/%s`. "+
		"`kubectl explain %s.spec` says the same.\n\n", version.Name, crd.Spec.Names.Singular)
	fmt.Fprintf(out, "`apiVersion: %s/%s`, `kind: %s`, short name `%s`, %s. %s\n", crd.Spec.Group, version.Name,
		crd.Spec.Names.Kind, strings.Join(crd.Spec.Names.ShortNames, ", "), strings.ToLower(string(crd.Spec.Scope)),
		line(schema.Description))
	for _, part := range []string{"spec", "status"} {
		property := schema.Properties[part]
		fmt.Fprintf(out, "\n## %s\n\n%s\n\n", part, line(property.Description))
		fmt.Fprint(out, "| field | type | default | what it is |\n|---|---|---|---|\n")
		writeFields(out, "", &property)
		writeRules(out, part, &property)
	}
	return writeReasons(out)
}

// writeFields writes a row for each field, and after it those of the fields in it.
func writeFields(out *strings.Builder, prefix string, parent *apiextensionsv1.JSONSchemaProps) {
	for _, name := range names(parent.Properties) {
		field := parent.Properties[name]
		standard := ""
		if field.Default != nil {
			standard = "`" + string(field.Default.Raw) + "`"
		}
		about := line(field.Description)
		if slices.Contains(parent.Required, name) {
			about += " **Required.**"
		}
		fmt.Fprintf(out, "| `%s` | %s | %s | %s |\n", prefix+name, kind(&field), standard, cell(about+rules(&field)))
		if !slices.Contains(whole, name) {
			writeFields(out, prefix+name+".", &field)
		}
	}
}

// writeRules are those about several fields, which stand on the struct that holds them.
func writeRules(out *strings.Builder, name string, property *apiextensionsv1.JSONSchemaProps) {
	if len(property.XValidations) == 0 {
		return
	}
	fmt.Fprintf(out, "\nRules about several fields of %s; a RoseyBot that breaks one is refused with these words:\n\n",
		name)
	for _, rule := range property.XValidations {
		fmt.Fprintf(out, "- %s\n", rule.Message)
	}
}

func rules(field *apiextensionsv1.JSONSchemaProps) (text string) {
	for _, rule := range field.XValidations {
		text += " *" + rule.Message + ".*"
	}
	return text
}

func kind(field *apiextensionsv1.JSONSchemaProps) string {
	switch {
	case len(field.Enum) > 0:
		var values []string
		for _, value := range field.Enum {
			values = append(values, strings.Trim(string(value.Raw), `"`))
		}
		return strings.Join(values, ", ")
	case field.Type == "array":
		return "list"
	case field.Type == "object" && field.AdditionalProperties != nil:
		return "map"
	case field.Minimum != nil && field.Maximum != nil:
		return fmt.Sprintf("%g to %g", *field.Minimum, *field.Maximum)
	}
	return field.Type
}

func names(properties map[string]apiextensionsv1.JSONSchemaProps) []string {
	found := make([]string, 0, len(properties))
	for name := range properties {
		found = append(found, name)
	}
	sort.Strings(found)
	return found
}

func line(text string) string { return strings.Join(strings.Fields(text), " ") }

// cell keeps a text from ending a cell of a table, or being taken for HTML.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", `\<`, "*,", `\*,`, "'*'", "'&#42;'").Replace(text)
}
