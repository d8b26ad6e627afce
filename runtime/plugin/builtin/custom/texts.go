package custom

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/plugin"
)

// text is a text command as it is stored.
type text struct {
	Text string `json:"text"`
	By   string `json:"by"`
}

// texts are the text commands that this process has declared.
type texts struct {
	mu       sync.Mutex
	declared map[string]text
}

var validName = regexp.MustCompile(`^[a-z0-9_-]+$`)

// isName reports whether a command may have a name.
func isName(name string) bool { return len(name) <= maxName && validName.MatchString(name) }

const maxName = 30

// textCooldown is that of each text command.
var textCooldown = plugin.Cooldown{User: 5 * time.Second, Channel: 2 * time.Second}

func declareTexts(p *plugin.Plugin, t *texts) {
	p.Command(plugin.Command{
		Name: "addcommand", Aliases: []string{"addcom", "setcommand"}, Usage: "name text | second line",
		Rank: plugin.Moderator,
		Help: "Adds a command that says a text, or changes one. {user} is who gives it, {args} what follows it.",
		Examples: []plugin.Example{
			{Say: "!addcommand discord Join us: https://discord.example/x", Like: `^!discord is there now\.$`},
			{Say: "!addcommand Würfel x", Wrong: `expected 1 to 30 of a-z`}, {Say: "!addcommand hi", Wrong: `1 to 5 lines`},
		},
	}, t.add)
	p.Command(plugin.Command{
		Name: "delcommand", Aliases: []string{"delcom"}, Usage: "name", Rank: plugin.Moderator,
		Help: "Removes a command that says a text.",
		Examples: []plugin.Example{
			{Say: "!delcommand discord", Wrong: `no command "discord"`},
		},
	}, t.remove)
	p.Command(plugin.Command{
		Name: "texts", Aliases: []string{"customs"}, Help: "Lists the commands that say a text.",
		Cooldown: plugin.Cooldown{User: 5 * time.Second},
		Examples: []plugin.Example{{Say: "!texts", Like: `^There are none yet\.$`}},
	}, t.list)
}

func (t *texts) add(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	name, body, _ := strings.Cut(c.Args, " ")
	name = strings.ToLower(strings.TrimPrefix(name, plugin.ExamplePrefix))
	if !isName(name) {
		return plugin.Reply{}, plugin.Usage("%q, expected 1 to 30 of a-z, 0-9, - and _", plugin.Cut(name, 30))
	}
	if err := checkText(body); err != nil {
		return plugin.Reply{}, err
	}
	one := text{Text: strings.TrimSpace(body), By: c.User.Name}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, exists := t.declared[name]; !exists && len(t.declared) >= maxTexts {
		return plugin.Reply{}, plugin.Usage("there are %d already: remove one first", len(t.declared))
	}
	if err := t.declare(c.Channel, name, one); err != nil {
		return plugin.Reply{}, plugin.UsageError(err)
	}
	if _, err := c.KV().Set(ctx, textKeys+name, one); err != nil {
		return plugin.Reply{}, err
	}
	return plugin.Text("%s%s is there now.", plugin.ExamplePrefix, name), nil
}

// declare declares a text command, or changes one. It is called with the lock.
func (t *texts) declare(c *plugin.Channel, name string, one text) error {
	if before, exists := t.declared[name]; exists && before == one {
		return nil
	} else if exists {
		c.Withdraw(name)
	}
	help := plugin.Cut("Says: "+lines(one.Text)[0], 120)
	err := c.Declare(plugin.Command{Name: name, Help: help, Cooldown: textCooldown},
		func(_ context.Context, call *plugin.Call) (plugin.Reply, error) {
			return plugin.Lines(fill(one.Text, call.User.Name, call.Args)...), nil
		})
	if err != nil {
		delete(t.declared, name)
		return err
	}
	t.declared[name] = one
	return nil
}

func (t *texts) remove(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	name := strings.ToLower(strings.TrimPrefix(c.Args, plugin.ExamplePrefix))
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, exists := t.declared[name]; !exists {
		return plugin.Reply{}, plugin.Usage("no command %q that says a text", plugin.Cut(name, 30))
	}
	if _, err := c.KV().Delete(ctx, textKeys+name); err != nil {
		return plugin.Reply{}, err
	}
	c.Withdraw(name)
	delete(t.declared, name)
	return plugin.Text("Removed."), nil
}

func (t *texts) list(context.Context, *plugin.Call) (plugin.Reply, error) {
	t.mu.Lock()
	names := slices.Sorted(maps.Keys(t.declared))
	t.mu.Unlock()
	if len(names) == 0 {
		return plugin.Text("There are none yet."), nil
	}
	return plugin.Text("%s", plugin.Cut(strings.Join(names, ", "), plugin.MaxLength)), nil
}

// load declares what is stored, and withdraws what is not any more: another process may have changed it.
func (t *texts) load(ctx context.Context, c *plugin.Channel) error {
	stored := map[string]text{}
	for entry, err := range c.KV().List(ctx, textKeys) {
		if err != nil {
			return fmt.Errorf("reading the texts: %w", err)
		}
		var one text
		if err := entry.Decode(&one); err != nil {
			return err
		}
		if name := strings.TrimPrefix(entry.Key, textKeys); isName(name) && len(lines(one.Text)) > 0 {
			stored[name] = one
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for name := range t.declared {
		if _, still := stored[name]; !still {
			c.Withdraw(name)
			delete(t.declared, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		if err := t.declare(c, name, stored[name]); err != nil {
			c.Log().WarnContext(ctx, "a stored command cannot be used", "command", name, "error", err)
		}
	}
	return nil
}
