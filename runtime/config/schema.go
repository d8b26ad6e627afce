package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
)

// schema is the part of JSON Schema that a configuration needs.
type schema struct {
	Dialect              string             `json:"$schema,omitempty"`
	Title                string             `json:"title,omitempty"`
	Description          string             `json:"description,omitempty"`
	Type                 string             `json:"type,omitempty"`
	Pattern              string             `json:"pattern,omitempty"`
	Enum                 []string           `json:"enum,omitempty"`
	Minimum              *int               `json:"minimum,omitempty"`
	Maximum              *int               `json:"maximum,omitempty"`
	Default              json.RawMessage    `json:"default,omitempty"`
	Properties           map[string]*schema `json:"properties,omitempty"`
	AdditionalProperties *bool              `json:"additionalProperties,omitempty"`
}

// Schema returns the JSON Schema (draft 2020-12) of a configuration file. No key is required in it, since environment
// and flags can set what a command needs.
func Schema() ([]byte, error) {
	root := sectionSchema(reflect.TypeFor[Config](), "")
	root.Dialect = "https://json-schema.org/draft/2020-12/schema"
	root.Title = "Configuration of rosey"
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(root); err != nil {
		return nil, fmt.Errorf("encoding the schema: %w", err)
	}
	return text.Bytes(), nil
}

func sectionSchema(structure reflect.Type, path string) *schema {
	section := &schema{Type: "object", Properties: map[string]*schema{}, AdditionalProperties: new(bool)}
	for name, field := range fields(structure) {
		inner := join(path, name)
		if kind := kindOf(field.Type); kind != "" {
			section.Properties[name] = valueSchema(kind, settings[inner])
			continue
		}
		section.Properties[name] = sectionSchema(indirect(field.Type), inner)
	}
	return section
}

func valueSchema(kind Kind, key Key) *schema {
	value := &schema{
		Description: key.Usage, Pattern: key.pattern, Enum: key.values, Default: json.RawMessage(key.Default),
	}
	switch kind {
	case TextKind:
		value.Type = "string"
		if key.Default != "" {
			value.Default = json.RawMessage(strconv.Quote(key.Default))
		}
	case NumberKind:
		value.Type = "integer"
		value.Minimum, value.Maximum = &key.minimum, &key.maximum
		if key.orZero {
			value.Minimum = new(int)
		}
	case SwitchKind:
		value.Type = "boolean"
	}
	return value
}
