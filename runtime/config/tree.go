package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// tree is a file's content before it is a Config: sections are trees, numbers are json.Number.
type tree map[string]any

// readTree decodes YAML or JSON. A key that stands twice is an error.
func readTree(data []byte) (tree, error) {
	encoded, err := yaml.YAMLToJSONStrict(data)
	if err != nil {
		return nil, errors.New(syntaxProblem(err))
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	var content any
	if err := decoder.Decode(&content); err != nil {
		return nil, errors.New("expected YAML or JSON")
	}
	switch content := content.(type) {
	case nil:
		return tree{}, nil
	case map[string]any:
		return content, nil
	default:
		return nil, fmt.Errorf("%s, expected keys and values", called(content))
	}
}

var (
	syntaxLine = regexp.MustCompile(`line \d+`)
	syntaxWord = regexp.MustCompile(`^(key "[^"]*" already set in map|[a-z '\-]*)$`)
)

// syntaxProblem says what is wrong without the parser's quotations: what stands in the wrong place may
// be a password.
func syntaxProblem(err error) string {
	lines := strings.Split(err.Error(), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	at := syntaxLine.FindString(last)
	problem := last[strings.LastIndex(last, ": ")+len(": "):]
	if _, after, found := strings.Cut(last, at+": "); at != "" && found {
		problem = after
	}
	if !syntaxWord.MatchString(problem) || strings.Contains(problem, "anchor '") {
		problem = "expected YAML or JSON"
	}
	if at != "" {
		return at + ": " + problem
	}
	return problem
}

// check compares a tree with the struct it will become.
func check(content tree, structure reflect.Type, path string) error {
	types := maps.Collect(fields(structure))
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(content)) {
		field, known := types[name]
		if !known {
			problems = append(problems, unknownKey(path, name, types))
			continue
		}
		problems = append(problems, checkValue(content[name], field.Type, join(path, name)))
	}
	return errors.Join(problems...)
}

func checkValue(value any, t reflect.Type, path string) error {
	if value == nil { // as if the key were not there
		return nil
	}
	kind := kindOf(t)
	section, isSection := value.(map[string]any)
	switch {
	case kind == "" && isSection:
		return check(section, indirect(t), path)
	case kind == "":
		return &KeyError{Key: path, Problem: called(value) + ", expected a section with keys"}
	case kind == ListKind:
		return checkList(value, path)
	case !fits(value, kind):
		return &KeyError{Key: path, Problem: called(value) + ", expected " + string(kind) + quoteHint(value, kind)}
	}
	return nil
}

func checkList(value any, path string) error {
	list, ok := value.([]any)
	if !ok {
		return &KeyError{Key: path, Problem: called(value) + ", expected " + string(ListKind)}
	}
	for i, one := range list {
		if _, ok := one.(string); !ok {
			return &KeyError{Key: fmt.Sprintf("%s[%d]", path, i), Problem: called(one) + ", expected text"}
		}
	}
	return nil
}

func fits(value any, kind Kind) bool {
	switch value := value.(type) {
	case string:
		return kind == TextKind
	case bool:
		return kind == SwitchKind
	case json.Number:
		_, err := value.Int64()
		return kind == NumberKind && err == nil
	default:
		return false
	}
}

// quoteHint is for a name like 2026 or no, which YAML does not take for text.
func quoteHint(value any, kind Kind) string {
	switch value.(type) {
	case json.Number, bool:
		if kind == TextKind {
			return ": put it in quotes"
		}
	}
	return ""
}

func unknownKey(path, name string, known map[string]reflect.StructField) error {
	names := slices.Sorted(maps.Keys(known))
	problem := "no such key, expected one of " + strings.Join(names, ", ")
	if file := name + "File"; slices.Contains(names, file) {
		problem = "no such key: a password is read from the file that " + join(path, file) + " names"
	}
	return &KeyError{Key: join(path, name), Problem: problem}
}

// called names a value without showing it.
func called(value any) string {
	switch value.(type) {
	case nil:
		return "nothing"
	case string:
		return "text"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	case map[string]any, tree:
		return "a section"
	default:
		return "a number"
	}
}

// set puts a value at a path, making sections on the way.
func (t tree) set(path string, value any) {
	name, rest, deeper := strings.Cut(path, ".")
	if !deeper {
		t[name] = value
		return
	}
	section, ok := t[name].(map[string]any)
	if !ok {
		section = map[string]any{}
		t[name] = section
	}
	tree(section).set(rest, value)
}
