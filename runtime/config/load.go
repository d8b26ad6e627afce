package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rosey.dev/rosey/runtime/status"
)

// Sources is where a configuration comes from: Flags over Environment over File.
type Sources struct {
	// File is the path of a YAML or JSON file. Empty: none.
	File string
	// Optional is true if File may be absent.
	Optional bool
	// Convert is tried on the content of File first. Nil: File can only have the keys of this package.
	Convert Converter
	// Environment is in the form of os.Environ. Variables with an empty value are ignored.
	Environment []string
	// Flags are the values of the flags that were given, by the paths of their keys.
	Flags map[string]string
}

// Converter converts the content of a configuration file of another program. Sections are map[string]any, lists are
// []any, numbers are json.Number. It returns nil if the file is none of that program's. The error joins a *KeyError for
// each key that is wrong.
type Converter func(content map[string]any, file string) (*Converted, error)

// Converted is a configuration file of another program in terms of this package.
type Converted struct {
	// Values are values of settings, by the paths of their keys.
	Values map[string]any
	// Origins are the keys in the file that the values come from, by the same paths; for error messages.
	Origins map[string]string
	// Warnings name the keys that have no effect.
	Warnings []Warning
}

// Loaded is a configuration, and what its user should know about it.
type Loaded struct {
	Config
	// File is the file that was read. Empty: none.
	File string
	// Converted reports whether File was converted by Sources.Convert.
	Converted bool
	// Warnings name keys and environment variables that have no effect.
	Warnings []Warning
}

// Warning is about a key that may not do what its user expects.
type Warning struct{ Key, Text string }

// String returns the warning on one line.
func (w Warning) String() string { return w.Key + ": " + w.Text }

// FileVariable is the environment variable with the path of the configuration file. Callers of Load evaluate it.
const FileVariable = variablePrefix + "CONFIG"

// Load reads all sources, fills in defaults and validates the result for a component. The error joins a *KeyError for
// each setting that is wrong.
func (s Sources) Load(component status.Component) (Loaded, error) {
	l := loader{document: document{}, origins: origins{}}
	if err := l.readFile(s); err != nil {
		return Loaded{}, err
	}
	err := l.override(variables(s.Environment), s.Flags)
	l.loaded.Warnings = append(l.loaded.Warnings, s.unknownVariables()...)
	if err == nil {
		l.loaded.Config, err = l.document.config(component)
	}
	return l.loaded, s.withFile(l.origins.addTo(err), l.loaded.File)
}

// Parse returns the configuration in the content of one file, with defaults, validated for a component. An unknown key
// is an error.
func Parse(data []byte, component status.Component) (Config, error) {
	content, err := parseDocument(data)
	if err != nil {
		return Config{}, err
	}
	if err := content.check(); err != nil {
		return Config{}, err
	}
	return content.config(component)
}

// withFile adds the name of the configuration file to an error.
func (s Sources) withFile(err error, file string) error {
	switch {
	case err == nil:
		return nil
	case file != "":
		return fmt.Errorf("configuration %s: %w", file, err)
	case s.File != "":
		return fmt.Errorf("configuration (there is no file %s): %w", s.File, err)
	default:
		return fmt.Errorf("configuration: %w", err)
	}
}

// loader merges the sources.
type loader struct {
	loaded   Loaded
	document document
	origins  origins
}

func (l *loader) readFile(s Sources) error {
	if s.File == "" {
		return nil
	}
	data, err := ReadBoundedFile(s.File, maxConfigBytes)
	if s.Optional && errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	l.loaded.File = s.File
	if err := l.parse(data, s.Convert); err != nil {
		return fmt.Errorf("configuration %s: %w", s.File, err)
	}
	return nil
}

func (l *loader) parse(data []byte, convert Converter) error {
	content, err := parseDocument(data)
	if err != nil {
		return err
	}
	if convert != nil {
		converted, err := convert(content, l.loaded.File)
		if err != nil {
			return err
		}
		if converted != nil {
			l.useConverted(converted)
			return nil
		}
	}
	l.document = content
	return content.check()
}

func (l *loader) useConverted(converted *Converted) {
	for path, value := range converted.Values {
		l.document.set(path, value)
	}
	maps.Copy(l.origins, converted.Origins)
	l.loaded.Converted, l.loaded.Warnings = true, converted.Warnings
}

// override puts environment variables and flags over what the file says.
func (l *loader) override(variables, flags map[string]string) error {
	var problems []error
	for _, key := range Keys() {
		text, origin := variables[key.Variable], key.Variable
		if flag, given := flags[key.Path]; given {
			text, origin = flag, "--"+key.Flag
		} else if text == "" {
			continue
		}
		value := key.parse(text)
		if value == nil {
			problem := fmt.Sprintf("%q, expected %s", text, key.Kind)
			problems = append(problems, &KeyError{Key: key.Path, Origin: origin, Problem: problem})
			continue
		}
		l.document.set(key.Path, value)
		l.origins[key.Path] = origin
		if key.Kind == ListKind || key.Kind == TableKind {
			alone := document{}
			alone.set(key.Path, value)
			problems = append(problems, alone.check())
		}
	}
	return errors.Join(problems...)
}

// parse converts a text to the type of the key. It returns nil for a text of another type.
func (k Key) parse(text string) (value any) {
	var err error
	switch k.Kind {
	case SwitchKind:
		value, err = strconv.ParseBool(text)
	case NumberKind:
		value, err = strconv.ParseInt(text, 10, 64)
	case ListKind, TableKind:
		value = parseValue(text, k.Kind)
	default:
		value = text
	}
	if err != nil {
		return nil
	}
	return value
}

// defaultFor returns the default of a key for a component. Empty: none.
func (k Key) defaultFor(component status.Component) string {
	switch {
	case k.Path == "http.address" && component == status.RunComponent:
		return DefaultRunHTTPAddress
	case k.Path == "http.address" && component == status.PluginComponent:
		return DefaultPluginHTTPAddress
	case k.Path == "nats.url" && component == status.CLIComponent:
		return DefaultCLINATSURL
	case k.Path == "channel.server" && component == status.CLIComponent:
		return "" // the server of the database service that replies
	}
	return k.Default
}

// config fills in defaults and decodes a document, which was checked, into a validated Config.
func (d document) config(component status.Component) (Config, error) {
	for _, key := range Keys() {
		text := key.defaultFor(component)
		if current := d.get(key.Path); text == "" || current != nil && current != "" {
			continue
		}
		d.set(key.Path, key.parse(text))
	}
	data, err := json.Marshal(d)
	if err != nil {
		return Config{}, fmt.Errorf("encoding the configuration: %w", err)
	}
	var config Config
	if err := json.Unmarshal(data, &config); err != nil {
		return Config{}, fmt.Errorf("decoding the configuration: %w", err)
	}
	// Rows are stored under the URL of the server, so each has one spelling.
	config.Channel.Server = strings.ToLower(strings.TrimRight(config.Channel.Server, "/"))
	return config, config.validate(component, d)
}

func variables(environment []string) map[string]string {
	values := map[string]string{}
	for _, variable := range environment {
		name, value, _ := strings.Cut(variable, "=")
		values[name] = value
	}
	return values
}

// serviceVariable matches the variables that Kubernetes puts into the environment of a pod for a Service rosey-….
var serviceVariable = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_.+)?)$`)

// unknownVariables returns a warning for each variable with the prefix of this package that is no setting. It does not
// show their values.
func (s Sources) unknownVariables() []Warning {
	known := map[string]bool{FileVariable: true}
	for _, key := range Keys() {
		known[key.Variable] = true
	}
	var warnings []Warning
	for _, name := range slices.Sorted(maps.Keys(variables(s.Environment))) {
		if !strings.HasPrefix(name, variablePrefix) || known[name] || serviceVariable.MatchString(name) {
			continue
		}
		text := "an environment variable without effect: there is no such setting"
		if file := name + "_FILE"; known[file] {
			text = "an environment variable without effect: a password is read from the file that " + file + " names"
		}
		warnings = append(warnings, Warning{Key: name, Text: text})
	}
	return warnings
}
