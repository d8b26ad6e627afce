package legacy

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/config"
)

// configVersion is the value of "version" in a configuration file of Rosey v2, the Python bot.
const configVersion = "2.0"

// What Rosey v2 uses where its file does not say.
const (
	defaultNATSURL  = "nats://localhost:4222"
	defaultDatabase = "bot_data.db"
)

// ConvertConfig is a config.Converter for configuration files of Rosey v2. Passwords stay in the file: the result names
// the file and their places in it.
func ConvertConfig(content map[string]any, file string) (*config.Converted, error) {
	if content["version"] != configVersion {
		return nil, otherVersion(content)
	}
	c := &converter{file: file, result: &config.Converted{
		Values: map[string]any{
			"nats.url": defaultNATSURL, "database.sqlite.path": besideOldDatabase(defaultDatabase),
			// Rosey v2 says to keep them for 30 days, but never removes any.
			"database.retention.userCounts": string(config.Forever),
		},
		Origins: map[string]string{},
	}}
	c.section(content, "")
	if _, set := c.result.Values["channel.name"]; !set && len(c.problems) == 0 {
		c.fail("platforms[0].channel", "required, the channel's name or [name, password]")
	}
	return c.result, errors.Join(c.problems...)
}

// otherVersion returns an error that names what a file of the Python Rosey is, and nil for any other file. Without it
// every key of the file would be reported as one that does not exist.
func otherVersion(content map[string]any) error {
	version, hasVersion := content["version"]
	_, isText := version.(string)
	_, hasDomain := content["domain"].(string)
	_, hasChannel := content["channel"].(string)
	_, hasUser := content["user"]
	_, hasEnvironment := content["environment"]
	_, hasConfigVersion := content["config_version"]
	switch number := fmt.Sprint(version); {
	case !isText && (number == "2" || number == configVersion):
		return config.WrongType("version", version, `"`+configVersion+`", a text in quotes, as Rosey v2 expects`)
	case hasVersion:
		return &config.KeyError{Key: "version", Problem: fmt.Sprintf(
			"expected none, or %q in a configuration file of Rosey v2; %s", configVersion, convertVersion1)}
	case hasDomain || hasChannel && hasUser:
		return errors.New("this is a configuration file of Rosey version 1, for bots before 0.5; " + convertVersion1)
	case hasEnvironment || hasConfigVersion:
		return errors.New("this is a file for deployments of the Python Rosey, which its bot does not read; expected the " +
			"bot's own configuration file, with the version " + configVersion)
	}
	return nil
}

// convertVersion1 says what to do with a file of version 1.
const convertVersion1 = "of the Python Rosey only version " + configVersion + " is read: convert an older file with " +
	"scripts/migrate_config.py of Rosey 0.5 or later"

// converter converts one file.
type converter struct {
	file     string
	result   *config.Converted
	problems []error
}

// section converts the values of a section, in the order of their keys.
func (c *converter) section(section map[string]any, path string) {
	for _, name := range slices.Sorted(maps.Keys(section)) {
		if strings.HasPrefix(name, "_") {
			continue // Rosey's comments: _comment, _note
		}
		inner := name
		if path != "" {
			inner = path + "." + name
		}
		c.value(section[name], inner)
	}
}

// value converts the value at a path of the old file.
func (c *converter) value(value any, path string) {
	if convert, ok := conversions[path]; ok {
		convert(c, value, path)
		return
	}
	switch value := value.(type) {
	case map[string]any:
		c.section(value, path)
		return
	case []any:
		if slices.ContainsFunc(value, isSection) {
			for i, one := range value {
				c.value(one, fmt.Sprintf("%s[%d]", path, i))
			}
			return
		}
	}
	c.warn(path, withoutEffect(path))
}

func isSection(value any) bool {
	_, ok := value.(map[string]any)
	return ok
}

// conversions are the keys that have an effect.
var conversions = map[string]func(c *converter, value any, path string){
	"version":              func(*converter, any, string) {},
	"nats.url":             (*converter).natsURL,
	"database.path":        (*converter).database,
	"shell.enabled":        (*converter).shell,
	"logging.level":        (*converter).level,
	"llm":                  (*converter).llm,
	"platforms[0].domain":  (*converter).domain,
	"platforms[0].channel": (*converter).channel,
	"platforms[0].user":    (*converter).user,
	"platforms[0].enabled": (*converter).enabled,
}

// besideOldDatabase returns the path of the new database. It is another file, so that the old bot can be
// started again.
func besideOldDatabase(path string) string {
	return strings.TrimSuffix(path, filepath.Ext(path)) + ".rosey.db"
}

func (c *converter) natsURL(value any, path string) {
	if text, ok := c.text(value, path); ok {
		c.set("nats.url", text, path)
	}
}

func (c *converter) database(value any, path string) {
	if name, ok := c.text(value, path); ok {
		c.set("database.sqlite.path", besideOldDatabase(name), path)
		c.warn(path, name+" is not changed: rows are stored in "+besideOldDatabase(name)+" beside it")
	}
}

// shell enables commands by private message, which replace the old shell.
func (c *converter) shell(value any, path string) {
	on, ok := value.(bool)
	if !ok {
		c.wrongType(path, value, string(config.SwitchKind))
	}
	c.set("commands.pm", on, path)
}

func (c *converter) level(value any, path string) {
	text, ok := c.text(value, path)
	if !ok {
		return
	}
	level := strings.ToLower(text)
	switch level {
	case "warning":
		level = "warn"
	case "critical", "fatal":
		level = "error"
	}
	c.set("logLevel", level, path)
}

func (c *converter) domain(value any, path string) {
	if text, ok := c.text(value, path); ok {
		if !strings.Contains(text, "://") {
			text = "https://" + text
		}
		c.set("channel.server", text, path)
	}
}

func (c *converter) channel(value any, path string) {
	name, hasPassword, ok := c.nameAndPassword(value, path)
	if !ok {
		return
	}
	c.set("channel.name", name, path)
	if hasPassword {
		c.set("channel.passwordFile", c.file+"#/platforms/0/channel/1", path+"[1]")
	}
}

func (c *converter) user(value any, path string) {
	if value == nil {
		return
	}
	if _, isText := value.(string); isText {
		c.warn(path, `a name that is not in a list has no effect, as in Rosey v2: the bot watches without a name; `+
			`for a guest write ["NAME"]`)
		return
	}
	name, hasPassword, ok := c.nameAndPassword(value, path)
	if !ok {
		return
	}
	c.set("account.username", name, path)
	if hasPassword {
		c.set("account.passwordFile", c.file+"#/platforms/0/user/1", path+"[1]")
	}
}

func (c *converter) enabled(value any, path string) {
	switch on, ok := value.(bool); {
	case !ok:
		c.wrongType(path, value, string(config.SwitchKind))
	case !on:
		c.fail(path, "false, expected true: there is no other platform")
	}
}

// nameAndPassword accepts a name, [name] or [name, password]. The password is not returned.
func (c *converter) nameAndPassword(value any, path string) (name string, hasPassword, ok bool) {
	if name, ok := value.(string); ok {
		return name, false, true
	}
	list, isList := value.([]any)
	if !isList || len(list) == 0 || len(list) > 2 {
		c.wrongType(path, value, "[name] or [name, password]")
		return "", false, false
	}
	name, ok = c.text(list[0], path+"[0]")
	if len(list) == 1 || list[1] == nil || list[1] == "" {
		return name, false, ok
	}
	_, isText := c.text(list[1], path+"[1]")
	return name, true, ok && isText
}

func (c *converter) text(value any, path string) (string, bool) {
	text, ok := value.(string)
	if !ok {
		c.wrongType(path, value, string(config.TextKind))
	}
	return text, ok
}

func (c *converter) set(key string, value any, path string) {
	c.result.Values[key], c.result.Origins[key] = value, path
}

func (c *converter) wrongType(path string, value any, expected string) {
	c.problems = append(c.problems, config.WrongType(path, value, expected))
}

func (c *converter) fail(path, problem string) {
	c.problems = append(c.problems, &config.KeyError{Key: path, Problem: problem})
}

func (c *converter) warn(path, text string) {
	c.result.Warnings = append(c.result.Warnings, config.Warning{Key: path, Text: text})
}

// ignored are the keys and sections of Rosey v2 that have no effect, and why.
var ignored = []struct{ path, why string }{
	{"nats.connection_timeout", "a connection attempt takes at most 2 s"},
	{"nats.max_reconnect_attempts", "the bot tries to reconnect to NATS without end"},
	{"nats.reconnect_delay", "it is between 0.25 and 2 s"},
	{"database.run_as_service", "`rosey run` includes the database service; beside `rosey bot` it is `rosey db`"},
	{"platforms[0].restart_delay", "the bot reconnects after a growing delay"},
	{"platforms[0].response_timeout", "it had none in Rosey v2"},
	{"platforms[0].type", "it had none in Rosey v2: the only type is CyTube"},
	{"platforms[0].name", "it had none in Rosey v2"},
	{"platforms", "only the first platform is used, as in Rosey v2; run one bot for each channel"},
	{"shell.host", "commands are private messages in the channel"},
	{"shell.port", "commands are private messages in the channel"},
	{"logging", "the log is written to standard error only"},
	{"plugins", "it had none in Rosey v2"},
	{"proxy", "connections are direct; for a SOCKS proxy set HTTPS_PROXY=socks5://HOST:1080 in the environment"},
	{"retry_delay", "it had none in Rosey v2"},
	{"retry", "it had none in Rosey v2"},
}

// withoutEffect returns why a key has no effect.
func withoutEffect(path string) string {
	for _, one := range ignored {
		rest, found := strings.CutPrefix(path, one.path)
		// The first platform is used: what is unknown in it has no effect for another reason than the other platforms.
		if found && (rest == "" || rest[0] == '.' || rest[0] == '[' && !strings.HasPrefix(rest, "[0]")) {
			return "no effect: " + one.why
		}
	}
	return "no effect: not a key of Rosey v2"
}
