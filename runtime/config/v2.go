package config

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// v2Version is what the file of Rosey v2, the Python bot, has under "version".
const v2Version = "2.0"

// What Rosey v2 takes where its file does not say.
const (
	v2NATSURL  = "nats://localhost:4222"
	v2Database = "bot_data.db"
)

// converter makes a tree of our keys from a file of Rosey v2.
type converter struct {
	file     string
	content  tree
	origins  origins
	warnings []Warning
	problems []error
}

// convertV2 takes a file of Rosey v2 as it is. Passwords stay where they are: what is made names the
// file and the place in it.
func convertV2(from tree, file string) (*converter, error) {
	c := &converter{file: file, content: tree{}, origins: origins{}}
	c.content.set("nats.url", v2NATSURL)
	c.content.set("database.sqlite.path", besideV2(v2Database))
	c.section(map[string]any(from), "")
	if _, named := c.origins["channel.name"]; !named && len(c.problems) == 0 {
		c.wrong("platforms[0].channel", "required, the channel's name or [name, password]")
	}
	return c, errors.Join(c.problems...)
}

// section visits every value, in the order of keys.
func (c *converter) section(section map[string]any, path string) {
	for _, name := range slices.Sorted(maps.Keys(section)) {
		c.visit(section[name], join(path, name))
	}
}

func (c *converter) visit(value any, path string) {
	if take, ok := v2Taken[path]; ok {
		take(c, value, path)
		return
	}
	switch value := value.(type) {
	case map[string]any:
		c.section(value, path)
		return
	case []any:
		if slices.ContainsFunc(value, isSection) {
			for i, one := range value {
				c.visit(one, fmt.Sprintf("%s[%d]", path, i))
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

// v2Taken are the keys that have an effect.
var v2Taken = map[string]func(c *converter, value any, path string){
	"version":  func(*converter, any, string) {},
	"nats.url": func(c *converter, value any, path string) { c.text("nats.url", value, path) },
	"database.path": func(c *converter, value any, path string) {
		if name, ok := c.wantText(value, path); ok {
			c.put("database.sqlite.path", besideV2(name), path)
			c.warn(path, name+" stays as it is: rows are kept in "+besideV2(name)+" beside it")
		}
	},
	"shell.enabled": func(c *converter, value any, path string) {
		on, ok := value.(bool)
		if !ok {
			c.wrong(path, called(value)+", expected true or false")
		}
		c.put("commands.pm", on, path)
	},
	"logging.level":        (*converter).level,
	"platforms[0].domain":  (*converter).domain,
	"platforms[0].channel": (*converter).channel,
	"platforms[0].user":    (*converter).user,
	"platforms[0].enabled": (*converter).enabled,
}

// besideV2 keeps our tables out of the Python bot's database, so that it can be gone back to.
func besideV2(path string) string {
	return strings.TrimSuffix(path, filepath.Ext(path)) + ".rosey.db"
}

func (c *converter) level(value any, path string) {
	text, ok := c.wantText(value, path)
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
	c.put("logLevel", level, path)
}

func (c *converter) domain(value any, path string) {
	if text, ok := c.wantText(value, path); ok {
		if !strings.Contains(text, "://") {
			text = "https://" + text
		}
		c.put("channel.server", text, path)
	}
}

func (c *converter) channel(value any, path string) {
	name, hasPassword, ok := c.pair(value, path)
	if !ok {
		return
	}
	c.put("channel.name", name, path)
	if hasPassword {
		c.put("channel.passwordFile", c.file+"#/platforms/0/channel/1", path+"[1]")
	}
}

func (c *converter) user(value any, path string) {
	if value == nil {
		return
	}
	if _, plain := value.(string); plain {
		c.warn(path, `a name that is not in a list has no effect, as in Rosey v2: the bot watches without a name; `+
			`for a guest write ["NAME"]`)
		return
	}
	name, hasPassword, ok := c.pair(value, path)
	if !ok {
		return
	}
	c.put("account.username", name, path)
	if hasPassword {
		c.put("account.passwordFile", c.file+"#/platforms/0/user/1", path+"[1]")
	}
}

func (c *converter) enabled(value any, path string) {
	switch on, ok := value.(bool); {
	case !ok:
		c.wrong(path, called(value)+", expected true or false")
	case !on:
		c.wrong(path, "false: there is no other platform to go to, expected true")
	}
}

// pair takes a name, [name] or [name, password].
func (c *converter) pair(value any, path string) (name string, hasPassword, ok bool) {
	if name, ok := value.(string); ok {
		return name, false, true
	}
	list, isList := value.([]any)
	if !isList || len(list) == 0 || len(list) > 2 {
		c.wrong(path, called(value)+", expected [name] or [name, password]")
		return "", false, false
	}
	name, ok = c.wantText(list[0], path+"[0]")
	if len(list) == 1 || list[1] == nil || list[1] == "" {
		return name, false, ok
	}
	_, isText := c.wantText(list[1], path+"[1]")
	return name, true, ok && isText
}

func (c *converter) text(key string, value any, path string) {
	if text, ok := c.wantText(value, path); ok {
		c.put(key, text, path)
	}
}

func (c *converter) wantText(value any, path string) (string, bool) {
	text, ok := value.(string)
	if !ok {
		c.wrong(path, called(value)+", expected text"+quoteHint(value, TextKind))
	}
	return text, ok
}

func (c *converter) put(key string, value any, path string) {
	c.content.set(key, value)
	c.origins[key] = path
}

func (c *converter) wrong(path, problem string) {
	c.problems = append(c.problems, &KeyError{Key: path, Problem: problem})
}

func (c *converter) warn(path, text string) {
	c.warnings = append(c.warnings, Warning{Key: path, Text: text})
}
