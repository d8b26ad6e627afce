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

	"rosey.dev/rosey/runtime/status"
)

// document is the content of a configuration before it is decoded into a Config: sections are map[string]any, numbers
// are json.Number.
type document map[string]any

// parseDocument decodes YAML or JSON. A key that occurs twice is an error.
func parseDocument(data []byte) (document, error) {
	content, err := decodeValue(data)
	if err != nil {
		return nil, err
	}
	switch content := content.(type) {
	case nil:
		return document{}, nil
	case map[string]any:
		return content, nil
	default:
		return nil, fmt.Errorf("%s, expected keys and values", typeName(content))
	}
}

var (
	syntaxLine = regexp.MustCompile(`line \d+`)
	// syntaxMessage matches the parser's messages that do not quote the file.
	syntaxMessage = regexp.MustCompile(`^(key "[^"]*" already set in map|[a-z '\-]*)$`)
)

// syntaxProblem returns the parser's message without quotations from the file: a text in the wrong place may be a
// password.
func syntaxProblem(err error) string {
	lines := strings.Split(err.Error(), "\n")
	last := strings.TrimSpace(lines[len(lines)-1])
	line := syntaxLine.FindString(last)
	problem := last[strings.LastIndex(last, ": ")+len(": "):]
	if _, after, found := strings.Cut(last, line+": "); line != "" && found {
		problem = after
	}
	if !syntaxMessage.MatchString(problem) || strings.Contains(problem, "anchor '") {
		problem = "expected YAML or JSON"
	}
	if line != "" {
		return line + ": " + problem
	}
	return problem
}

// parseValue returns the list or the table in a text in YAML or JSON. It returns nil for anything else.
func parseValue(text string, kind Kind) any {
	content, err := decodeValue([]byte(text))
	if err != nil || !hasKind(content, kind) {
		return nil
	}
	return content
}

// decodeValue returns the value in a text in YAML or JSON, with numbers as json.Number.
func decodeValue(text []byte) (any, error) {
	encoded, err := toJSON(text)
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(encoded))
	decoder.UseNumber()
	var content any
	if err := decoder.Decode(&content); err != nil {
		return nil, errors.New("expected YAML or JSON")
	}
	return content, nil
}

// check compares the keys and types of a document with Config. The error joins a *KeyError for each difference.
func (d document) check() error { return checkSection(d, reflect.TypeFor[Config](), "") }

func checkSection(content map[string]any, structure reflect.Type, path string) error {
	known := maps.Collect(fields(structure))
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(content)) {
		field, isKnown := known[name]
		if !isKnown {
			problems = append(problems, unknownKey(path, name, known))
			continue
		}
		problems = append(problems, checkValue(content[name], field.Type, join(path, name)))
	}
	return errors.Join(problems...)
}

func checkValue(value any, t reflect.Type, path string) error {
	if value == nil { // the same as an absent key
		return nil
	}
	kind := kindOf(t)
	section, isSection := value.(map[string]any)
	switch {
	case kind == "" && isSection:
		return checkSection(section, indirect(t), path)
	case kind == "":
		return WrongType(path, value, "a section with keys")
	case !hasKind(value, kind):
		return WrongType(path, value, string(kind))
	}
	var problems []error
	switch value := value.(type) {
	case []any:
		for i, inner := range value {
			problems = append(problems, checkElement(inner, t.Elem(), fmt.Sprintf("%s[%d]", path, i)))
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(value)) {
			inner := join(path, status.OneLine(name, maxShownKey))
			problems = append(problems, checkElement(value[name], t.Elem(), inner))
		}
	}
	return errors.Join(problems...)
}

// maxShownKey bounds what errors show of the key of a table, in characters.
const maxShownKey = 80

// checkElement is checkValue for a value in a list or a table, which must be there.
func checkElement(value any, t reflect.Type, path string) error {
	if value == nil {
		return &KeyError{Key: path, Problem: "expected a value"}
	}
	return checkValue(value, t, path)
}

func hasKind(value any, kind Kind) bool {
	switch value := value.(type) {
	case string:
		return kind == TextKind
	case bool:
		return kind == SwitchKind
	case json.Number:
		_, err := value.Int64()
		_, decimalErr := value.Float64()
		return kind == NumberKind && err == nil || kind == DecimalKind && decimalErr == nil
	case []any:
		return kind == ListKind
	case map[string]any:
		return kind == TableKind
	default:
		return false
	}
}

func unknownKey(path, name string, known map[string]reflect.StructField) error {
	names := slices.Sorted(maps.Keys(known))
	problem := "no such key, expected one of " + strings.Join(names, ", ")
	if file := name + "File"; slices.Contains(names, file) {
		problem = "no such key: a password is read from the file that " + join(path, file) + " names"
	}
	return &KeyError{Key: join(path, name), Problem: problem}
}

// WrongType returns the error for a value of a configuration file that has another type than expected. It does not show
// the value.
func WrongType(key string, value any, expected string) *KeyError {
	problem := typeName(value) + ", expected " + expected
	switch value.(type) {
	case json.Number, bool:
		if expected == string(TextKind) { // a name like 2026 or no, which is no text in YAML
			problem += ": put it in quotes"
		}
	}
	return &KeyError{Key: key, Problem: problem}
}

func typeName(value any) string {
	switch value.(type) {
	case nil:
		return "nothing"
	case string:
		return "text"
	case bool:
		return "true or false"
	case []any:
		return "a list"
	case map[string]any:
		return "a section"
	default:
		return "a number"
	}
}

// get returns the value at a path, nil if there is none.
func (d document) get(path string) any {
	var value any = map[string]any(d)
	for name := range strings.SplitSeq(path, ".") {
		section, _ := value.(map[string]any)
		value = section[name]
	}
	return value
}

// set puts a value at a path and creates the sections around it.
func (d document) set(path string, value any) {
	name, rest, nested := strings.Cut(path, ".")
	if !nested {
		d[name] = value
		return
	}
	section, ok := d[name].(map[string]any)
	if !ok {
		section = map[string]any{}
		d[name] = section
	}
	document(section).set(rest, value)
}
