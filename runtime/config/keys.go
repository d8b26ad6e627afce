package config

import (
	"reflect"
	"strings"
	"unicode"
)

// Kind is what a setting's value is.
type Kind string

// The kinds, as they are called in messages.
const (
	TextKind   Kind = "text"
	NumberKind Kind = "a whole number"
	SwitchKind Kind = "true or false"
	ListKind   Kind = "a list of texts"
)

// Key is one setting.
type Key struct {
	// Path is where it stands in the file, for example "channel.name".
	Path string
	// Flag is its command line flag without dashes, Variable its environment variable.
	Flag, Variable string
	Kind           Kind
	// About describes it in a sentence, Default is what holds without it.
	About, Default string
}

// Keys are all settings, in the order of Config.
func Keys() []Key {
	var keys []Key
	walk(reflect.TypeFor[Config](), "", func(path string, kind Kind) {
		about := settings[path]
		flag := about.flag
		if flag == "" {
			flag = strings.ReplaceAll(words(path, '-'), ".", "-")
		}
		keys = append(keys, Key{
			Path: path, Kind: kind, About: about.about, Default: about.standard, Flag: flag,
			Variable: variablePrefix + strings.ToUpper(strings.ReplaceAll(words(path, '_'), ".", "_")),
		})
	})
	return keys
}

const variablePrefix = "ROSEY_"

// walk visits the keys of a struct and of the structs in it.
func walk(structure reflect.Type, path string, visit func(path string, kind Kind)) {
	for name, field := range fields(structure) {
		inner := join(path, name)
		if kind := kindOf(field.Type); kind != "" {
			visit(inner, kind)
			continue
		}
		walk(indirect(field.Type), inner, visit)
	}
}

// fields yields the fields of a struct with their names in the file.
func fields(structure reflect.Type) func(yield func(string, reflect.StructField) bool) {
	return func(yield func(string, reflect.StructField) bool) {
		for field := range structure.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !yield(name, field) {
				return
			}
		}
	}
}

// kindOf is empty for a section.
func kindOf(t reflect.Type) Kind {
	switch t = indirect(t); t.Kind() {
	case reflect.Struct:
		return ""
	case reflect.Bool:
		return SwitchKind
	case reflect.Int, reflect.Int64:
		return NumberKind
	case reflect.Slice:
		return ListKind
	default:
		return TextKind
	}
}

func indirect(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// words makes passwordFile password-file.
func words(name string, between rune) string {
	var text strings.Builder
	for _, r := range name {
		if unicode.IsUpper(r) {
			text.WriteRune(between)
		}
		text.WriteRune(unicode.ToLower(r))
	}
	return text.String()
}
