package config

import (
	"os"
	"slices"

	"github.com/spf13/pflag"

	"rosey.dev/rosey/runtime/status"
)

// Flags are the flags of a command that override the environment and the configuration file.
type Flags struct {
	set     *pflag.FlagSet
	file    string
	values  map[string]string // by the path of the key
	convert Converter
}

// NewFlags adds the flag --config, whose default file may be absent, and a flag for each key that the command uses.
// convert is that of Sources; fileUsage describes the file.
func NewFlags(set *pflag.FlagSet, defaultFile, fileUsage string, keys []Key, convert Converter) *Flags {
	f := &Flags{set: set, values: map[string]string{}, convert: convert}
	set.StringVar(&f.file, "config", defaultFile, fileUsage+"; environment variable "+FileVariable)
	for _, key := range keys {
		usage := key.Usage
		if key.Default != "" {
			usage += " (default " + key.Default + ")"
		}
		flag := set.VarPF(&keyFlag{f.values, key}, key.Flag, "", usage+"; "+key.Variable)
		if key.Kind == SwitchKind {
			flag.NoOptDefVal = "true"
		}
	}
	return f
}

// KeysAt returns the keys with the given paths.
func KeysAt(paths ...string) []Key {
	return slices.DeleteFunc(Keys(), func(key Key) bool { return !slices.Contains(paths, key.Path) })
}

// Load loads the configuration for a component from the flags, the environment and the file.
func (f *Flags) Load(component status.Component) (Loaded, error) {
	sources := Sources{
		File: f.file, Optional: true, Convert: f.convert, Environment: os.Environ(), Flags: f.values,
	}
	if file := os.Getenv(FileVariable); file != "" {
		sources.File, sources.Optional = file, false
	}
	if f.set.Changed("config") {
		sources.File, sources.Optional = f.file, false
	}
	return sources.Load(component)
}

// Given reports whether somebody has named a configuration file or set a key by a flag.
func (f *Flags) Given() bool {
	return f.set.Changed("config") || os.Getenv(FileVariable) != "" || len(f.values) > 0
}

// keyFlag is the flag of a key. It accepts any text: the value is validated when the configuration is loaded.
type keyFlag struct {
	values map[string]string
	key    Key
}

// String implements pflag.Value. It may be called for the zero value.
func (f *keyFlag) String() string { return f.values[f.key.Path] }

// Set implements pflag.Value.
func (f *keyFlag) Set(text string) error {
	f.values[f.key.Path] = text
	return nil
}

// Type implements pflag.Value.
func (f *keyFlag) Type() string {
	if f.key.Kind == SwitchKind {
		return "bool"
	}
	return "string"
}
