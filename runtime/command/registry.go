package command

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
)

// Registry is what commands there are, under which names, who may give them, and who gave them last. It outlives the
// sessions of a bot and is safe for concurrent use. Use NewRegistry.
type Registry struct {
	mu       sync.Mutex
	settings *config.Commands
	plugins  []Plugin

	names     atomic.Pointer[names]
	cooldowns cooldowns
}

// Plugin is a plugin that is configured, with the commands that it has declared. The bot checked them.
type Plugin struct {
	Name string
	// Available reports whether the plugin answers. The commands of one that does not stay known: it may only be slow.
	Available bool
	Commands  []bus.PluginCommand
}

// NewRegistry returns a Registry without settings: no command is found before Configure.
func NewRegistry() *Registry { return &Registry{} }

// Configure sets what the owner of the bot decides. The settings are as config.Sources.Load returns them, so that no
// pointer is nil.
func (r *Registry) Configure(settings config.Commands) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settings = &settings
	r.names.Store(resolve(settings, r.plugins))
}

// SetPlugins sets the plugins, in the order of the configuration.
func (r *Registry) SetPlugins(plugins []Plugin) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plugins = plugins
	if r.settings != nil {
		r.names.Store(resolve(*r.settings, plugins))
	}
}

// Offered returns what users type for the commands of a plugin, without the prefix, and which names the plugin has not
// got because another command has them.
func (r *Registry) Offered(plugin string) (typed, conflicts []string) {
	n := r.names.Load()
	if n == nil {
		return nil, nil
	}
	for _, e := range n.entries {
		if e.plugin == plugin && !slices.Contains(typed, e.typed) {
			typed = append(typed, e.typed)
		}
	}
	return typed, n.conflicts[plugin]
}

// Calls reports whether users can give the commands of a plugin: it was found, and SetPlugins has been told.
func (r *Registry) Calls(plugin string) bool {
	n := r.names.Load()
	return n != nil && n.found[plugin]
}

// UnusedOverrides returns the names in the overrides of the owner that are about no command, sorted: they are spelled
// in another way, or a plugin does not declare the command any more.
func (r *Registry) UnusedOverrides() []string {
	n := r.names.Load()
	if n == nil {
		return nil
	}
	return n.unused
}

// Ignores reports whether the lines of a user call nothing.
func (r *Registry) Ignores(user string) bool {
	n := r.names.Load()
	return n != nil && n.ignored[strings.ToLower(user)]
}

// MayCall returns the commands, as PLUGIN.NAME, as which plugins may take a line of a user in the chat that has no
// prefix: those that declare it, and that the user may give. Nil: there are no plugins. cooling are those of them that
// have a cooldown, for which Take is to be asked.
func (r *Registry) MayCall(user string, rank float64) (mayCall, cooling []string) {
	n := r.names.Load()
	if n == nil || !n.hasPlugins {
		return nil, nil
	}
	mayCall = []string{}
	for _, e := range n.lines {
		if !n.mayTake(e, user, rank) {
			continue
		}
		mayCall = append(mayCall, e.id())
		if e.Cooldown != (bus.PluginCooldown{}) {
			cooling = append(cooling, e.id())
		}
	}
	return mayCall, cooling
}

// Errors of Take.
var (
	// ErrMayNotTake means that the plugin takes no lines as such a command, or that the user may not give it.
	ErrMayNotTake = errors.New("lines of this user are not to be taken as this command")
	// ErrCooldown means that the user has to wait before the next call.
	ErrCooldown = errors.New("the cooldown of the command is not over")
)

// Take begins the cooldown of a command for a plugin that takes a line of a user as a call of it, without the prefix.
// It returns ErrMayNotTake or ErrCooldown. The cooldown between any two commands is not looked at: a plugin could
// otherwise keep people from giving other commands.
func (r *Registry) Take(plugin, name, user string, rank float64, now time.Time) error {
	n := r.names.Load()
	if n == nil {
		return ErrMayNotTake
	}
	at := slices.IndexFunc(n.lines, func(e *entry) bool { return e.plugin == plugin && e.Name == name })
	if at < 0 || !n.mayTake(n.lines[at], user, rank) {
		return ErrMayNotTake
	}
	if !r.cooldowns.beginOf(n.lines[at], user, now) {
		return ErrCooldown
	}
	return nil
}

// mayTake reports whether a plugin may take lines of a user as a command.
func (n *names) mayTake(e *entry, user string, rank float64) bool {
	return !n.ignored[strings.ToLower(user)] && e.allows(user, rank)
}

// entry is a command in one source, as the owner of the bot has it. It does not change.
type entry struct {
	command

	// plugin is whose command it is. Empty: the bot's.
	plugin string
	// available is false for a command of a plugin that does not answer.
	available bool
	// typed is what users type for it, without the prefix.
	typed       string
	allow, deny map[string]bool
	// ownersUser and ownersChannel are true if the owner of the bot has set Cooldown.UserMS and Cooldown.ChannelMS.
	ownersUser, ownersChannel bool
}

// names are the commands by what users type. They do not change.
type names struct {
	settings config.Commands
	ignored  map[string]bool
	// reserved are the names of the commands of the bot, in whatever source, used the overrides that are about a command,
	// and unused the others, sorted.
	reserved, used map[string]bool
	unused         []string
	// entries are in the order of help.
	entries []*entry
	byName  map[source]map[string]*entry
	// lines are the commands as which plugins also take lines of the chat.
	lines      []*entry
	hasPlugins bool
	// found are the plugins that answer, and away those that do not.
	found map[string]bool
	away  []string
	// conflicts are the names that a plugin declares and others have, by plugin.
	conflicts map[string][]string
}

// resolve returns the commands of the bot and of plugins with the names and limits that hold. The names of the bot's
// commands are its own in both sources, also of those that are disabled or have another name. Of several plugins that
// declare one name the first has it. Every command of a plugin is also PLUGIN.NAME.
func resolve(settings config.Commands, plugins []Plugin) *names {
	n := &names{
		settings: settings, ignored: set(settings.Ignore), conflicts: map[string][]string{},
		reserved: map[string]bool{}, used: map[string]bool{}, found: map[string]bool{},
		byName: map[source]map[string]*entry{fromChat: {}, fromPM: {}}, hasPlugins: len(plugins) > 0,
	}
	for _, c := range table() {
		n.reserved[c.Name] = true
		n.add(&entry{command: c, available: true}, n.override(c.Name))
	}
	for _, plugin := range plugins {
		if plugin.Available {
			n.found[plugin.Name] = true
		} else {
			n.away = append(n.away, plugin.Name)
		}
		for _, declared := range plugin.Commands {
			for _, via := range sources(declared) {
				n.addPlugins(&entry{
					command: command{PluginCommand: declared, source: via}, plugin: plugin.Name, available: plugin.Available,
				})
			}
		}
	}
	n.setUnused(plugins)
	return n
}

func sources(declared bus.PluginCommand) []source {
	var all []source
	for _, via := range []source{fromChat, fromPM} {
		if len(declared.Via) == 0 || slices.Contains(declared.Via, string(via)) {
			all = append(all, via)
		}
	}
	return all
}

// setUnused notes the overrides that are about no command, unless a plugin that was not found yet may declare it.
func (n *names) setUnused(plugins []Plugin) {
	isKnown := func(p Plugin) bool { return p.Available || len(p.Commands) > 0 }
	for _, key := range slices.Sorted(maps.Keys(n.settings.Overrides)) {
		name, _, isOfOne := strings.Cut(key, ".")
		mayCome := slices.ContainsFunc(plugins, func(p Plugin) bool { return !isKnown(p) && (!isOfOne || p.Name == name) })
		if !n.used[key] && !mayCome {
			n.unused = append(n.unused, key)
		}
	}
}

// addPlugins adds a command of a plugin. Who may give it is also who may say what the plugin takes as the command, even
// if the command itself is disabled.
func (n *names) addPlugins(e *entry) {
	override := n.overridePlugin(e.plugin, e.Name)
	for _, alias := range e.Aliases {
		// Whom the owner denies one name must not do the same by another one.
		override.Deny = slices.Concat(override.Deny, n.overridePlugin(e.plugin, alias).Deny)
	}
	if e.Lines && e.source == fromChat {
		taken := *e
		taken.overrule(override)
		n.lines = append(n.lines, &taken)
	}
	n.add(e, override)
}

// add adds a command as an override has it, unless that disables it.
func (n *names) add(e *entry, override config.CommandOverride) {
	if override.Disabled {
		return
	}
	e.overrule(override)
	e.typed = cmp.Or(override.Name, e.Name)
	hasName := n.claim(e, e.typed, override.Name != "")
	if e.plugin != "" {
		n.byName[e.source][e.plugin+"."+e.Name] = e
		if !hasName {
			e.typed = e.plugin + "." + e.Name
		}
	}
	for _, alias := range e.Aliases {
		n.addAlias(*e, override, alias)
	}
	n.entries = append(n.entries, e)
}

// addAlias adds another name of a command. What an override says about that name holds for whoever types it.
func (n *names) addAlias(e entry, ofCommand config.CommandOverride, alias string) {
	own := n.overridePlugin(e.plugin, alias)
	override := merge(ofCommand, own)
	if override.Disabled {
		return
	}
	e.overrule(override)
	n.claim(&e, cmp.Or(own.Name, alias), own.Name != "")
}

// claim gives a command a name and reports whether it is free. chosen is true for a name that the owner of the bot has
// chosen, which may be that of a command of the bot in another source.
func (n *names) claim(e *entry, name string, chosen bool) (isFree bool) {
	other, isTaken := n.byName[e.source][name]
	isReserved := e.plugin != "" && n.reserved[name] && !chosen
	if !isTaken && !isReserved {
		n.byName[e.source][name] = e
		return true
	}
	owner := "the bot"
	if isTaken && !isReserved {
		owner = other.owner()
	}
	conflict := fmt.Sprintf("%s is a command of %s", name, owner)
	isOwn := isTaken && other.id() == e.id()
	if !isOwn && !slices.Contains(n.conflicts[e.plugin], conflict) {
		n.conflicts[e.plugin] = append(n.conflicts[e.plugin], conflict)
	}
	return false
}

func (e *entry) owner() string {
	if e.plugin == "" {
		return "the bot"
	}
	return e.plugin
}

// id is the same for a command in all sources, and for none else.
func (e *entry) id() string { return e.plugin + "." + e.Name }

// allows reports whether a user may give a command. Everybody can take the name of a guest, so that only who has
// registered it is allowed by it.
func (e *entry) allows(name string, rank float64) bool {
	key := strings.ToLower(name)
	switch {
	case e.deny[key]:
		return false
	case e.allow[key] && rank >= registeredRank:
		return true
	}
	return rank >= e.Rank
}

// registeredRank is the rank of users whose name is an account.
const registeredRank = 1

// enabled reports whether commands of a source are executed.
func (n *names) enabled(from source) bool {
	if from == fromPM {
		return *n.settings.PM
	}
	return *n.settings.Chat
}

// find returns the command that a user means. Nil: there is none, or the user may not give it.
func (n *names) find(from source, typed, user string, rank float64) *entry {
	if e := n.byName[from][typed]; e != nil && e.allows(user, rank) {
		return e
	}
	return nil
}

// permitted returns the commands that a user may give in a source, in the order of help.
func (n *names) permitted(from source, user string, rank float64) []*entry {
	var permitted []*entry
	for _, e := range n.entries {
		if e.source == from && e.allows(user, rank) {
			permitted = append(permitted, e)
		}
	}
	return permitted
}

// set returns names, in lower case, as a set.
func set(names []string) map[string]bool {
	all := map[string]bool{}
	for _, name := range names {
		all[strings.ToLower(name)] = true
	}
	return all
}
