package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rosey.dev/rosey/runtime/status"
)

// Sources are where a configuration comes from: Flags over Environment over File.
type Sources struct {
	// File is the path of a YAML or JSON file, of our own keys or of Rosey v2. Empty: none.
	File string
	// Optional says that File may be absent.
	Optional bool
	// Environment is as os.Environ returns it. Variables without a value count as not there.
	Environment []string
	// Flags are the values of flags that were given, by the paths of their keys.
	Flags map[string]string
}

// Loaded is a configuration with what is to be said about it.
type Loaded struct {
	Config
	// File is the file that was read. Empty: none.
	File string
	// FromV2 says that File is a configuration of Rosey v2, the Python bot.
	FromV2 bool
	// Warnings are for the user: keys that have no effect.
	Warnings []Warning
}

// Warning is about a key that does not do what its user may expect.
type Warning struct{ Key, Text string }

// String is the warning in a line.
func (w Warning) String() string { return w.Key + ": " + w.Text }

// Load reads all sources, fills in defaults and checks the result for a component. The error joins a
// *KeyError for each thing that is wrong.
func (s Sources) Load(component status.Component) (Loaded, error) {
	read, err := s.read()
	if err != nil {
		return Loaded{}, err
	}
	loaded := Loaded{File: read.file, FromV2: read.fromV2, Warnings: read.warnings}
	problems := []error{s.addEnvironment(&read), s.addFlags(&read)}
	loaded.Warnings = append(loaded.Warnings, s.strangers()...)
	if err := errors.Join(problems...); err != nil {
		return loaded, s.inFile(err, read.file)
	}
	loaded.Config, err = read.content.config(component)
	return loaded, s.inFile(read.origins.name(err), read.file)
}

// inFile says which file the configuration is of.
func (s Sources) inFile(err error, file string) error {
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

// reading is a configuration that is being put together.
type reading struct {
	file     string
	fromV2   bool
	content  tree
	origins  origins
	warnings []Warning
}

func (s Sources) read() (reading, error) {
	read := reading{content: tree{}, origins: origins{}}
	if s.File == "" {
		return read, nil
	}
	data, err := os.ReadFile(s.File)
	if s.Optional && errors.Is(err, os.ErrNotExist) {
		return read, nil
	}
	if err != nil {
		return reading{}, fmt.Errorf("reading the configuration: %w", err)
	}
	read.file = s.File
	if err := read.add(data); err != nil {
		return reading{}, fmt.Errorf("configuration %s: %w", s.File, err)
	}
	return read, nil
}

// add takes the content of a file.
func (r *reading) add(data []byte) error {
	content, err := readTree(data)
	if err != nil {
		return err
	}
	if content["version"] != v2Version {
		r.content = content
		return check(content, reflect.TypeFor[Config](), "")
	}
	converted, err := convertV2(content, r.file)
	if err != nil {
		return err
	}
	r.fromV2, r.content, r.origins, r.warnings = true, converted.content, converted.origins, converted.warnings
	return nil
}

func (s Sources) addEnvironment(to *reading) error {
	values := variables(s.Environment)
	var problems []error
	for _, key := range Keys() {
		if text := values[key.Variable]; text != "" {
			problems = append(problems, to.put(key, text, key.Variable))
		}
	}
	return errors.Join(problems...)
}

func (s Sources) addFlags(to *reading) error {
	var problems []error
	for _, key := range Keys() {
		if text, given := s.Flags[key.Path]; given {
			problems = append(problems, to.put(key, text, "--"+key.Flag))
		}
	}
	return errors.Join(problems...)
}

// put sets a key to a value that came as text.
func (r *reading) put(key Key, text, origin string) error {
	var value any = text
	var err error
	switch key.Kind {
	case SwitchKind:
		value, err = strconv.ParseBool(text)
	case NumberKind:
		value, err = strconv.ParseInt(text, 10, 64)
	case ListKind:
		value = strings.Split(text, ",")
	case TextKind:
	}
	if err != nil {
		return &KeyError{Key: key.Path, Origin: origin, Problem: fmt.Sprintf("%q, expected %s", text, key.Kind)}
	}
	r.content.set(key.Path, value)
	r.origins[key.Path] = origin
	return nil
}

func variables(environment []string) map[string]string {
	values := map[string]string{}
	for _, variable := range environment {
		name, value, _ := strings.Cut(variable, "=")
		values[name] = value
	}
	return values
}

// FileVariable is the environment variable that names the configuration file.
const FileVariable = variablePrefix + "CONFIG"

// serviceLink matches what Kubernetes puts into the environment of a pod for a Service rosey-….
var serviceLink = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT(_\d+_.+)?)$`)

// strangers warns of variables that look like ours and are none, without their values.
func (s Sources) strangers() []Warning {
	known := map[string]bool{FileVariable: true}
	for _, key := range Keys() {
		known[key.Variable] = true
	}
	var warnings []Warning
	for _, name := range slices.Sorted(maps.Keys(variables(s.Environment))) {
		if !strings.HasPrefix(name, variablePrefix) || known[name] || serviceLink.MatchString(name) {
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

// config makes the tree, which was checked before, a configuration.
func (t tree) config(component status.Component) (Config, error) {
	data, err := json.Marshal(t)
	if err != nil {
		return Config{}, fmt.Errorf("encoding the configuration: %w", err)
	}
	var config Config
	if err := json.Unmarshal(data, &config); err != nil {
		return Config{}, fmt.Errorf("decoding the configuration: %w", err)
	}
	config.setDefaults(component)
	return config, config.validate(component)
}
