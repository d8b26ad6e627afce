package main

import (
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/legacy"
	"rosey.dev/rosey/runtime/status"
)

// settings are the flags of a command that go over environment and configuration file.
type settings struct {
	flags *pflag.FlagSet
	file  string
	given map[string]string
}

// newSettings adds --config, with a default file that may be absent, and a flag for each key that the
// command has a use for.
func newSettings(flags *pflag.FlagSet, defaultFile string, keys []config.Key) *settings {
	s := &settings{flags: flags, given: map[string]string{}}
	flags.StringVar(&s.file, "config", defaultFile,
		"Configuration `file`, YAML or JSON, of Rosey v2 too; "+config.FileVariable+" in the environment")
	for _, key := range keys {
		usage := key.Usage
		if key.Default != "" {
			usage += " (default " + key.Default + ")"
		}
		flag := flags.VarPF(&keyFlag{s.given, key}, key.Flag, "", usage+"; "+key.Variable)
		if key.Kind == config.SwitchKind {
			flag.NoOptDefVal = "true"
		}
	}
	return s
}

// keysBut are the keys of the configuration without some keys or sections.
func keysBut(without ...string) []config.Key {
	return slices.DeleteFunc(config.Keys(), func(key config.Key) bool {
		section, _, _ := strings.Cut(key.Path, ".")
		return slices.Contains(without, key.Path) || slices.Contains(without, section)
	})
}

// keysOf are some keys of the configuration.
func keysOf(paths ...string) []config.Key {
	return slices.DeleteFunc(config.Keys(), func(key config.Key) bool { return !slices.Contains(paths, key.Path) })
}

func (s *settings) load(component status.Component) (config.Loaded, error) {
	sources := config.Sources{
		File: s.file, Optional: true, Convert: legacy.ConvertConfig, Environment: os.Environ(), Flags: s.given,
	}
	if named := os.Getenv(config.FileVariable); named != "" {
		sources.File, sources.Optional = named, false
	}
	if s.flags.Changed("config") {
		sources.File, sources.Optional = s.file, false
	}
	return sources.Load(component)
}

// keyFlag is the flag of a key. The configuration checks its value, with all others.
type keyFlag struct {
	given map[string]string
	key   config.Key
}

// String implements pflag.Value.
func (f *keyFlag) String() string {
	if f.given == nil { // cobra asks a zero value what the default looks like
		return ""
	}
	return f.given[f.key.Path]
}

// Set implements pflag.Value.
func (f *keyFlag) Set(text string) error {
	f.given[f.key.Path] = text
	return nil
}

// Type implements pflag.Value.
func (f *keyFlag) Type() string {
	if f.key.Kind == config.SwitchKind {
		return "bool"
	}
	return "string"
}
