package plugin

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// Setting is a value that whoever runs a plugin may choose.
type Setting struct {
	// Name is 1 to 63 letters, digits, '.', '-' and '_': the key in the configuration. A Name that ends in ".*" stands for
	// all settings that begin so, for example command.*; they have no Default, and Settings.Each returns them.
	Name string
	// Default is its value if none is chosen. Help is one sentence about it.
	Default, Help string
	// Check returns what is wrong with a value, and what was expected. Nil: any text is right.
	Check func(value string) error
	// Hidden says that a wrong value is not shown, because it may be a secret: a key in the place of a variable's name.
	Hidden bool
	// CheckRest is Check for what takes the place of the "*" in Name.
	CheckRest func(rest string) error
}

var validSetting = regexp.MustCompile(`^[A-Za-z0-9._-]+(\.\*)?$`)

// rest returns what a name has in the place of the "*" in Name, and whether the setting is meant by it.
func (s Setting) rest(name string) (rest string, isMeant bool) {
	if prefix, isOpen := strings.CutSuffix(s.Name, "*"); isOpen {
		rest, isMeant = strings.CutPrefix(name, prefix)
		return rest, isMeant && rest != ""
	}
	return "", s.Name == name
}

// check returns what is wrong with the name or the value that was chosen.
func (s Setting) check(name, value string) error {
	if rest, _ := s.rest(name); s.CheckRest != nil {
		if err := s.CheckRest(rest); err != nil {
			return err
		}
	}
	if s.Check == nil {
		return nil
	}
	if err := s.Check(value); err != nil {
		if s.Hidden {
			return err
		}
		return fmt.Errorf("%q, %w", Cut(value, 40), err)
	}
	return nil
}

const maxSettingName = 63

// Whole returns a Check for whole numbers.
func Whole(least, most int) func(string) error {
	return func(value string) error {
		if number, err := strconv.Atoi(value); err != nil || number < least || number > most {
			return fmt.Errorf("expected a whole number from %d to %d", least, most)
		}
		return nil
	}
}

// Length returns a Check for durations such as 90s, 10m or 48h.
func Length(least, most time.Duration) func(string) error {
	return func(value string) error {
		if length, err := time.ParseDuration(value); err != nil || length < least || length > most {
			return fmt.Errorf("expected a duration from %v to %v, such as 90s or 10m", least, most)
		}
		return nil
	}
}

// Switch is a Check for true and false.
func Switch(value string) error {
	if value != "true" && value != "false" {
		return errors.New("expected true or false")
	}
	return nil
}

// OneOf returns a Check for some words.
func OneOf(words ...string) func(string) error {
	return func(value string) error {
		if !slices.Contains(words, value) {
			return fmt.Errorf("expected one of %s", strings.Join(words, ", "))
		}
		return nil
	}
}

// Parts returns a Check for lists: at least and at most so many parts between commas.
func Parts(least, most int) func(string) error {
	return func(value string) error {
		if count := len(parts(value)); count < least || count > most {
			return fmt.Errorf("%d parts between commas, expected %d to %d", count, least, most)
		}
		return nil
	}
}

// maxVariableRest bounds what follows the prefix in the name of an environment variable.
const maxVariableRest = 64

// IsVariable reports whether a setting may name an environment variable: the prefix, and then 1 to 64 upper-case
// letters, digits and underscores. Whoever chooses a setting cannot have the plugin read another variable of its
// process.
func IsVariable(name, prefix string) bool {
	rest, found := strings.CutPrefix(name, prefix)
	return found && rest != "" && len(rest) <= maxVariableRest &&
		strings.Trim(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == ""
}

// Settings are the values of a plugin's settings at one moment: those that were chosen, and the defaults of all others.
type Settings struct {
	declared []Setting
	values   map[string]string
}

// Text returns a value. It panics if the plugin has not declared the setting.
func (s Settings) Text(name string) string {
	if value, chosen := s.values[name]; chosen {
		return value
	}
	at := slices.IndexFunc(s.declared, func(one Setting) bool { return one.Name == name })
	if at < 0 {
		panic(fmt.Sprintf("the plugin has not declared the setting %q", name))
	}
	return s.declared[at].Default
}

// Each returns the values of the settings that were chosen where the plugin has declared a Name that ends in ".*", by
// what they have in the place of the "*".
func (s Settings) Each(name string) map[string]string {
	all := map[string]string{}
	for chosen, value := range s.values {
		if rest, isMeant := (Setting{Name: name}).rest(chosen); isMeant {
			all[rest] = value
		}
	}
	return all
}

// Int returns the value of a setting with the Check Whole.
func (s Settings) Int(name string) int {
	number, _ := strconv.Atoi(s.Text(name)) // it was checked
	return number
}

// Duration returns the value of a setting with the Check Length.
func (s Settings) Duration(name string) time.Duration {
	length, _ := time.ParseDuration(s.Text(name)) // it was checked
	return length
}

// Bool returns the value of a setting with the Check Switch.
func (s Settings) Bool(name string) bool { return s.Text(name) == "true" }

// List returns the value of a setting as its parts between commas, without the spaces around them.
func (s Settings) List(name string) []string { return parts(s.Text(name)) }

func parts(value string) (all []string) {
	for part := range strings.SplitSeq(value, ",") {
		if part = strings.TrimSpace(part); part != "" {
			all = append(all, part)
		}
	}
	return all
}

// Source returns the values that were chosen, by the names of the settings. It is called again and again.
type Source func() (map[string]string, error)

const (
	// maxSettingsBytes bounds a file with settings, and maxSettings their number.
	maxSettingsBytes = 64 << 10
	maxSettings      = 200
)

// FixedSettings returns a Source of values that do not change.
func FixedSettings(values map[string]string) Source {
	return func() (map[string]string, error) { return values, nil }
}

// SettingsAt returns a Source of a directory with one file for each setting, or of a file in YAML or JSON with keys and
// texts. What does not exist has no values: it may come later.
func SettingsAt(path string) Source {
	return func() (map[string]string, error) {
		about, err := os.Stat(path)
		switch {
		case path == "" || errors.Is(err, os.ErrNotExist):
			return map[string]string{}, nil
		case err != nil:
			return nil, fmt.Errorf("reading the settings: %w", err)
		case about.IsDir():
			return settingsInDirectory(path)
		}
		return settingsInFile(path)
	}
}

func settingsInDirectory(path string) (map[string]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("reading the settings: %w", err)
	}
	values := map[string]string{}
	for _, entry := range entries {
		if strings.HasPrefix(entry.Name(), "..") { // what the kubelet keeps beside the files of a ConfigMap
			continue
		}
		if len(values) == maxSettings {
			return nil, fmt.Errorf("settings %s: expected at most %d", path, maxSettings)
		}
		text, err := readSettings(filepath.Join(path, entry.Name()))
		if err != nil {
			return nil, err
		}
		values[entry.Name()] = strings.TrimRight(string(text), "\r\n")
	}
	return values, nil
}

func settingsInFile(path string) (map[string]string, error) {
	content, err := readSettings(path)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	if err := yaml.UnmarshalStrict(content, &values); err != nil { // its error could quote a value
		return nil, fmt.Errorf("settings %s: expected keys with texts, in YAML or JSON", path)
	}
	if len(values) > maxSettings {
		return nil, fmt.Errorf("settings %s: expected at most %d", path, maxSettings)
	}
	return values, nil
}

func readSettings(path string) ([]byte, error) {
	content, err := config.ReadBoundedFile(path, maxSettingsBytes)
	if err != nil {
		return nil, fmt.Errorf("reading the settings: %w", err)
	}
	return content, nil
}

// liveSettings reads a Source at most every second. It is safe for concurrent use.
type liveSettings struct {
	declared []Setting
	source   Source
	now      func() time.Time
	warn     func(problem string) // called when something else is wrong

	mu      sync.Mutex
	readAt  time.Time
	values  map[string]string
	problem string // printable; empty: none
}

const settingsInterval = time.Second

// current returns the values as they are now. A value that is wrong is left out, and so its default is used; what
// cannot be read stays as it was.
func (l *liveSettings) current() Settings {
	values, _ := l.read()
	return Settings{declared: l.declared, values: values}
}

// read returns the values, and what is wrong with the Source.
func (l *liveSettings) read() (values map[string]string, problem string) {
	values, problem, isNew := l.readIfDue()
	if isNew && problem != "" {
		l.warn(problem) // without the lock
	}
	return values, problem
}

func (l *liveSettings) readIfDue() (values map[string]string, problem string, isNew bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.problem
	if now := l.now(); l.readAt.IsZero() || now.Sub(l.readAt) >= settingsInterval || now.Before(l.readAt) {
		l.readAt = now
		l.readNow()
	}
	return l.values, l.problem, l.problem != before
}

func (l *liveSettings) readNow() {
	chosen, err := l.source()
	if err != nil {
		l.problem = status.OneLine(err.Error(), maxErrorText)
		return
	}
	values, problems := map[string]string{}, []string(nil)
	for _, name := range slices.Sorted(maps.Keys(chosen)) {
		at := slices.IndexFunc(l.declared, func(one Setting) bool {
			_, isMeant := one.rest(name)
			return isMeant
		})
		if at < 0 {
			problems = append(problems, fmt.Sprintf("%s: no such setting, expected one of %s", name, l.names()))
			continue
		}
		if err := l.declared[at].check(name, chosen[name]); err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", name, err))
			continue
		}
		values[name] = chosen[name]
	}
	l.values, l.problem = values, status.OneLine(strings.Join(problems, "; "), maxProblem)
}

// maxProblem bounds what is said about settings, in characters.
const maxProblem = 500

func (l *liveSettings) names() string {
	if len(l.declared) == 0 {
		return "none"
	}
	var names []string
	for _, one := range l.declared {
		names = append(names, one.Name)
	}
	return strings.Join(names, ", ")
}
