package command

import (
	"maps"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
)

// Overview returns which commands there are, under which names, and what the owner of the bot has decided about them.
// It is empty before Configure.
func (r *Registry) Overview() (all bus.ChannelCommands) {
	all.Commands, all.Overrides = []bus.OfferedCommand{}, []bus.OverriddenCommand{}
	n := r.names.Load()
	if n == nil {
		return all
	}
	all.Prefix, all.Chat, all.PM = n.settings.Prefix, n.enabled(fromChat), n.enabled(fromPM)
	known := n.namesOf()
	for _, e := range n.entries {
		offered := e.offer(known[place{e.source, e.id()}])
		same := slices.IndexFunc(all.Commands, func(other bus.OfferedCommand) bool { return isSame(other, offered) })
		if same < 0 {
			all.Commands = append(all.Commands, offered)
		} else {
			all.Commands[same].Via = append(all.Commands[same].Via, offered.Via...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(n.settings.Overrides)) {
		all.Overrides = append(all.Overrides, overridden(name, n.settings.Overrides[name]))
	}
	return all
}

// place is a command, by its entry.id, in a source.
type place struct {
	source source
	id     string
}

// namesOf returns what users can type for each command, sorted.
func (n *names) namesOf() map[place][]string {
	known := map[place][]string{}
	for from, byName := range n.byName {
		for _, name := range slices.Sorted(maps.Keys(byName)) {
			at := place{from, byName[name].id()}
			known[at] = append(known[at], name)
		}
	}
	return known
}

// offer describes a command in its source, which has some names.
func (e *entry) offer(known []string) bus.OfferedCommand {
	offered := bus.OfferedCommand{
		Plugin: e.plugin, Name: e.typed, Usage: e.Usage, Help: e.Help, Rank: e.Rank,
		Cooldown: e.Cooldown, Via: []string{string(e.source)}, Available: e.available,
	}
	for _, example := range e.Examples {
		offered.Examples = append(offered.Examples, e.renamed(example))
	}
	for _, name := range known {
		if name != e.typed && name != e.plugin+"."+e.Name {
			offered.Aliases = append(offered.Aliases, name)
		}
	}
	return offered
}

// renamed returns an example of a command as users type it: it begins with the name that the command declares.
func (e *entry) renamed(example string) string {
	name, arguments := cutWord(example)
	if name != e.Name {
		return example
	}
	return strings.TrimSpace(e.typed + " " + arguments)
}

// isSame reports whether two commands are one in two sources.
func isSame(a, b bus.OfferedCommand) bool {
	return a.Plugin == b.Plugin && a.Name == b.Name && a.Usage == b.Usage && a.Help == b.Help && a.Rank == b.Rank &&
		slices.Equal(a.Aliases, b.Aliases)
}

func overridden(name string, by config.CommandOverride) bus.OverriddenCommand {
	one := bus.OverriddenCommand{
		Command: name, Disabled: by.Disabled, Name: by.Name, Rank: by.Rank, Allow: by.Allow, Deny: by.Deny,
	}
	if by.Cooldown != nil {
		one.UserSeconds, one.ChannelSeconds = by.Cooldown.UserSeconds, by.Cooldown.ChannelSeconds
	}
	return one
}
