package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/status"
)

// What the paths of the values in a list and in a table end in, in the table of elements.
const (
	listElement  = "[]"
	tableElement = ".*"
)

// elements describes the values in the settings that are lists and tables, as settings does for those. A value that it
// does not have may be any of its type.
var elements = map[string]Key{
	"commands.overrides.*.name": {
		pattern: `^[^\s/.A-Z]{1,30}$`, expected: "1 to 30 printable characters without spaces, dots, '/' and capital letters",
		valid: validCommandName,
	},
	"commands.overrides.*.rank":                    {minimum: 0, maximum: maxRank},
	"commands.overrides.*.allow":                   {maxItems: maxListedUsers},
	"commands.overrides.*.allow[]":                 userKey,
	"commands.overrides.*.deny":                    {maxItems: maxListedUsers},
	"commands.overrides.*.deny[]":                  userKey,
	"commands.overrides.*.cooldown.userSeconds":    {minimum: 0, maximum: maxCooldownSeconds},
	"commands.overrides.*.cooldown.channelSeconds": {minimum: 0, maximum: maxCooldownSeconds},
	"commands.ignore[]":                            userKey,
	"plugins[].name": {
		pattern: `^[a-z0-9]{1,30}$`, expected: "1 to 30 lower-case letters and digits", required: true,
	},
	"plugins[].builtin": {values: BuiltinNames()},
	"plugins[].config": {
		maxItems: maxConfigKeys, keys: `^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`,
		expected: "1 to 63 letters, digits, '.', '_' and '-' that begin with a letter or a digit",
	},
	"plugins[].config.*":        {maxLength: maxConfigValue},
	"plugins[].grants.events":   {maxItems: maxGrants},
	"plugins[].grants.events[]": {pattern: `^[A-Za-z_]{1,64}$`, expected: "the name of an event, such as message"},
	"plugins[].grants.state":    {maxItems: maxGrants},
	"plugins[].grants.state[]":  {values: []string{"users", "media", "playlist", "poll"}},
	"plugins[].grants.act":      {maxItems: maxGrants},
	"plugins[].grants.act[].verb": {
		values: []string{"playlist.add", "playlist.skip", "playlist.remove", "playlist.jump", "playlist.shuffle",
			"poll.open", "poll.close", "kick"},
		required: true,
	},
	"plugins[].grants.act[].rank": {minimum: 0, maximum: maxRank},
}

// Limits of lists and tables.
const (
	// MaxPlugins, MaxOverrides and MaxIgnored bound Config.Plugins, Commands.Overrides and Commands.Ignore.
	MaxPlugins   = 20
	MaxOverrides = 200
	MaxIgnored   = 200

	maxListedUsers = 100
	// maxConfigKeys and maxConfigValue, in characters, are those of spec.plugins[].config too.
	maxConfigKeys      = 50
	maxConfigValue     = 16 << 10
	maxGrants          = 32
	maxCooldownSeconds = 7 * 24 * 3600
	// maxRank is that of CyTube's administrators of the site.
	maxRank = 255
)

// userKey is the name of a user of CyTube.
var userKey = Key{
	pattern: `^[A-Za-z0-9_-]{1,20}$`, expected: "the name of a user: 1 to 20 letters, digits, '-' and '_'",
}

func validCommandName(text string) bool {
	return status.Printable(text) == text && strings.ToLower(text) == text
}

// keyAt returns what is known of the values at a path of settings or elements.
func keyAt(path string) Key {
	if key, isSetting := settings[path]; isSetting {
		return key
	}
	return elements[path]
}

// checkElements compares a list or a table, whose types are right, and everything in it with the limits. where is the
// path of the value in the configuration, and path that in elements.
func checkElements(value any, key Key, where, path string) error {
	var problems []error
	switch value := value.(type) {
	case nil:
	case []any:
		problems = append(problems, tooMany(len(value), key, where))
		for i, inner := range value {
			problems = append(problems, checkElementAt(inner, fmt.Sprintf("%s[%d]", where, i), path+listElement))
		}
	case map[string]any:
		problems = append(problems, tooMany(len(value), key, where))
		keys := regexp.MustCompile(key.keys)
		for _, name := range slices.Sorted(maps.Keys(value)) {
			inner := join(where, status.OneLine(name, maxShownKey))
			if !keys.MatchString(name) {
				problems = append(problems, &KeyError{Key: inner, Problem: "expected as key " + key.expected})
				continue
			}
			problems = append(problems, checkElementAt(value[name], inner, path+tableElement))
		}
	}
	return errors.Join(problems...)
}

func tooMany(count int, key Key, where string) error {
	if count <= key.maxItems {
		return nil
	}
	return &KeyError{Key: where, Problem: fmt.Sprintf("%d entries, expected at most %d", count, key.maxItems)}
}

// checkElementAt is checkElements for a value of any kind. A section has the fields that elements describes.
func checkElementAt(value any, where, path string) error {
	key := keyAt(path)
	switch value := value.(type) {
	case nil:
		return nil
	case []any:
		return checkElements(value, key, where, path)
	case map[string]any:
		if key.keys != "" {
			return checkElements(value, key, where, path)
		}
		return checkFields(value, where, path)
	}
	key.Path, key.Kind = where, kindOfValue(path)
	if key.Kind == SwitchKind {
		return nil
	}
	return key.check(value)
}

// checkFields checks the fields of a section, and that those are there which must be.
func checkFields(section map[string]any, where, path string) error {
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(section)) {
		problems = append(problems, checkElementAt(section[name], join(where, name), join(path, name)))
	}
	for _, inner := range slices.Sorted(maps.Keys(elements)) {
		name, isDirect := strings.CutPrefix(inner, path+".")
		isDirect = isDirect && !strings.ContainsAny(name, ".[")
		if isDirect && elements[inner].required && section[name] == nil {
			problems = append(problems, &KeyError{
				Key: join(where, name), Problem: "required" + expectation(elements[inner])})
		}
	}
	return errors.Join(problems...)
}

// expectation returns what a value may be, for an error.
func expectation(key Key) string {
	switch {
	case key.values != nil:
		return ": one of " + strings.Join(key.values, ", ")
	case key.expected != "":
		return ": " + key.expected
	}
	return ""
}

// kindOfValue returns the kind of the values at a path of elements.
func kindOfValue(path string) Kind {
	t := reflect.TypeFor[Config]()
	for step := range strings.SplitSeq(strings.ReplaceAll(path, listElement, "."+listElement), ".") {
		switch step {
		case listElement, strings.TrimPrefix(tableElement, "."):
			t = indirect(t).Elem()
		default:
			for name, field := range fields(indirect(t)) {
				if name == step {
					t = field.Type
				}
			}
		}
	}
	return kindOf(t)
}
