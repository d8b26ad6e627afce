package custom

import (
	"context"
	"errors"
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

// texts are the text commands of the channel, as this process knows them. What is stored counts, and others may change
// it: load looks again and again.
type texts struct {
	// own are the names of the plugin's own commands.
	own map[string]bool

	mu       sync.Mutex // never held while something is requested
	loaded   bool       // false: what is stored has not been read yet
	declared map[string]text
	// changing are the names that a call or load changes at this moment: no two change one at the same time.
	changing map[string]bool
	// changes counts what calls and load have changed. What was read before the last change may be older than that.
	changes int
}

func newTexts() *texts {
	return &texts{own: map[string]bool{}, declared: map[string]text{}, changing: map[string]bool{}}
}

// reserve keeps the names of the plugin's own commands.
func (t *texts) reserve(commands []plugin.Command) {
	for _, command := range commands {
		for _, name := range append([]string{command.Name}, command.Aliases...) {
			t.own[name] = true
		}
	}
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
	if t.own[name] {
		return plugin.Reply{}, plugin.Usage("%q is the name of another command of the plugin", name)
	}
	one := text{Text: strings.TrimSpace(body), By: c.User.Name}
	exists, count, err := t.begin(ctx, c.Channel, name)
	if err != nil {
		return plugin.Reply{}, err
	}
	defer t.end(name)
	if !exists && count >= maxTexts {
		return plugin.Reply{}, plugin.Usage("there are %d already: remove one first", count)
	}
	if _, err := c.KV().Set(ctx, textKeys+name, one); err != nil {
		return plugin.Reply{}, err
	}
	if err := t.apply(c.Channel, name, &one); err != nil {
		return plugin.Reply{}, err
	}
	return plugin.Text("%s%s is there now.", plugin.ExamplePrefix, name), nil
}

func (t *texts) remove(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	name := strings.ToLower(strings.TrimPrefix(c.Args, plugin.ExamplePrefix))
	exists, _, err := t.begin(ctx, c.Channel, name)
	if err != nil {
		return plugin.Reply{}, err
	}
	defer t.end(name)
	if !exists {
		return plugin.Reply{}, plugin.Usage("no command %q that says a text", plugin.Cut(name, 30))
	}
	if _, err := c.KV().Delete(ctx, textKeys+name); err != nil {
		return plugin.Reply{}, err
	}
	if err := t.apply(c.Channel, name, nil); err != nil {
		return plugin.Reply{}, err
	}
	return plugin.Text("Removed."), nil
}

func (t *texts) list(ctx context.Context, c *plugin.Call) (plugin.Reply, error) {
	if err := t.ready(ctx, c.Channel); err != nil {
		return plugin.Reply{}, err
	}
	t.mu.Lock()
	names := slices.Sorted(maps.Keys(t.declared))
	t.mu.Unlock()
	if len(names) == 0 {
		return plugin.Text("There are none yet."), nil
	}
	return plugin.Text("%s", plugin.Cut(strings.Join(names, ", "), plugin.MaxLength)), nil
}

// begin begins a change of a text command by a call, until end. It returns whether there is one of this name, and how
// many others there are, or will be.
func (t *texts) begin(ctx context.Context, c *plugin.Channel, name string) (exists bool, count int, err error) {
	if err := t.ready(ctx, c); err != nil {
		return false, 0, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changing[name] {
		return false, 0, plugin.Usage("%q is being changed at this moment: try again", plugin.Cut(name, maxName))
	}
	_, exists = t.declared[name]
	count = len(t.declared)
	for other := range t.changing {
		if _, counted := t.declared[other]; !counted {
			count++
		}
	}
	t.changing[name] = true
	return exists, count, nil
}

// end ends the change of text commands.
func (t *texts) end(names ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range names {
		delete(t.changing, name)
	}
	t.changes++
}

// apply declares a text command, changes one, or withdraws it if wanted is nil. Whoever calls it has begun the change.
func (t *texts) apply(c *plugin.Channel, name string, wanted *text) error {
	t.mu.Lock()
	before, exists := t.declared[name]
	t.mu.Unlock()
	if exists && wanted != nil && before == *wanted {
		return nil
	}
	if exists {
		c.Withdraw(name)
	}
	var err error
	if wanted != nil {
		err = declare(c, name, *wanted)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.declared, name)
	if wanted != nil && err == nil {
		t.declared[name] = *wanted
	}
	return err
}

// declare declares a text command.
func declare(c *plugin.Channel, name string, one text) error {
	help := plugin.OneLine("Says: "+lines(one.Text)[0], 120)
	return c.Declare(plugin.Command{Name: name, Help: help, Cooldown: textCooldown},
		func(_ context.Context, call *plugin.Call) (plugin.Reply, error) {
			return plugin.Lines(fill(one.Text, call.User.Name, call.Args)...), nil
		})
}

// start reads what is stored. Without a database the plugin starts all the same: the rest of it works, and the texts
// come later.
func (t *texts) start(ctx context.Context, c *plugin.Channel) error {
	limited, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := t.load(limited, c); err != nil {
		c.Log().WarnContext(ctx, "the text commands are not there yet: they are read again soon", "error", err)
	}
	return nil
}

// ready reads what is stored if it has not been read yet.
func (t *texts) ready(ctx context.Context, c *plugin.Channel) error {
	t.mu.Lock()
	loaded := t.loaded
	t.mu.Unlock()
	if loaded {
		return nil
	}
	return t.load(ctx, c)
}

// retry is ready, and leaves it to load to report that the database is away.
func (t *texts) retry(ctx context.Context, c *plugin.Channel) error {
	if err := t.ready(ctx, c); !errors.Is(err, plugin.ErrAway) {
		return err
	}
	return nil
}

// load declares what is stored, and withdraws what is not any more: another process may have changed it.
func (t *texts) load(ctx context.Context, c *plugin.Channel) error {
	t.mu.Lock()
	changes := t.changes
	t.mu.Unlock()
	stored, err := readTexts(ctx, c)
	if err != nil {
		return err
	}
	names := t.beginLoad(changes, stored)
	defer t.end(names...)
	for _, name := range names {
		var wanted *text
		if one, still := stored[name]; still {
			wanted = &one
		}
		if err := t.apply(c, name, wanted); err != nil {
			c.Log().WarnContext(ctx, "a stored command cannot be used", "command", name, "error", err)
		}
	}
	return nil
}

// readTexts returns what is stored.
func readTexts(ctx context.Context, c *plugin.Channel) (map[string]text, error) {
	stored := map[string]text{}
	all, err := plugin.All[text](ctx, c.KV(), textKeys)
	if err != nil {
		return nil, fmt.Errorf("reading the texts: %w", err)
	}
	for _, one := range all {
		if name := strings.TrimPrefix(one.Key, textKeys); isName(name) && len(lines(one.Value.Text)) > 0 {
			stored[name] = one.Value
		}
	}
	return stored, nil
}

// beginLoad begins the change of all that is not as it is stored, and returns the names. It returns none if something
// was changed since what is stored was read: the next time is soon enough.
func (t *texts) beginLoad(changes int, stored map[string]text) (names []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.changes != changes || len(t.changing) > 0 {
		return nil
	}
	t.loaded = true
	for name := range t.declared {
		if _, still := stored[name]; !still {
			names = append(names, name) // before the others: they may need the room
		}
	}
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		if before, exists := t.declared[name]; !exists || before != stored[name] {
			names = append(names, name)
		}
	}
	for _, name := range names {
		t.changing[name] = true
	}
	return names
}
