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
	PatternProperties    map[string]*schema `json:"patternProperties,omitempty"`
	AdditionalProperties *bool              `json:"additionalProperties,omitempty"`
	Required             []string           `json:"required,omitempty"`
	Items                *schema            `json:"items,omitempty"`
	MaxItems             int                `json:"maxItems,omitempty"`
	MaxProperties        int                `json:"maxProperties,omitempty"`
	MaxLength            int                `json:"maxLength,omitempty"`
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
		key := keyAt(inner)
		section.Properties[name] = typeSchema(field.Type, inner)
		if key.required {
			section.Required = append(section.Required, name)
		}
	}
	return section
}

// typeSchema returns the schema of the values of a type at a path.
func typeSchema(t reflect.Type, path string) *schema {
	kind := kindOf(t)
	if kind == "" {
		return sectionSchema(indirect(t), path)
	}
	return valueSchema(indirect(t), kind, path)
}

func valueSchema(t reflect.Type, kind Kind, path string) *schema {
	key := keyAt(path)
	value := &schema{
		Description: key.Usage, Pattern: key.pattern, Enum: key.values, Default: json.RawMessage(key.Default),
		MaxLength: key.maxLength,
	}
	switch kind {
	case ListKind:
		value.Type, value.MaxItems = "array", key.maxItems
		value.Items = typeSchema(t.Elem(), path+listElement)
	case TableKind:
		value.Type, value.MaxProperties, value.AdditionalProperties = "object", key.maxItems, new(bool)
		value.PatternProperties = map[string]*schema{key.keys: typeSchema(t.Elem(), path+tableElement)}
	case DecimalKind:
		value.Type = "number"
		value.Minimum, value.Maximum = &key.minimum, &key.maximum
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
