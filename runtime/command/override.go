package command

import (
	"cmp"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/config"
)

// override returns what the owner of the bot decides about a name.
func (n *names) override(name string) config.CommandOverride {
	override, found := n.settings.Overrides[name]
	if found {
		n.used[name] = true
	}
	return override
}

// overridePlugin returns what the owner decides about a name of a command of a plugin: about PLUGIN.NAME, and about
// NAME unless that is a command of the bot.
func (n *names) overridePlugin(plugin, name string) config.CommandOverride {
	var ofAll config.CommandOverride
	if !n.reserved[name] {
		ofAll = n.override(name)
	}
	return merge(ofAll, n.override(plugin+"."+name))
}

// merge returns two overrides as one: what the narrower has replaces what the wider has, but who is denied by one of
// them is, and what is disabled by one of them is.
func merge(wider, narrower config.CommandOverride) config.CommandOverride {
	merged := config.CommandOverride{
		Disabled: wider.Disabled || narrower.Disabled,
		Name:     cmp.Or(narrower.Name, wider.Name),
		Rank:     cmp.Or(narrower.Rank, wider.Rank),
		Allow:    wider.Allow,
		Deny:     slices.Concat(wider.Deny, narrower.Deny),
		Cooldown: cmp.Or(narrower.Cooldown, wider.Cooldown),
	}
	if len(narrower.Allow) > 0 {
		merged.Allow = narrower.Allow
	}
	if wider.Cooldown != nil && narrower.Cooldown != nil {
		merged.Cooldown = &config.CommandCooldown{
			UserSeconds:    cmp.Or(narrower.Cooldown.UserSeconds, wider.Cooldown.UserSeconds),
			ChannelSeconds: cmp.Or(narrower.Cooldown.ChannelSeconds, wider.Cooldown.ChannelSeconds),
		}
	}
	return merged
}

// overrule puts what an override says in the place of what the command declares. Its name and whether it is disabled
// are not looked at.
func (e *entry) overrule(override config.CommandOverride) {
	if override.Rank != nil {
		e.Rank = *override.Rank
	}
	e.allow, e.deny = set(override.Allow), set(override.Deny)
	if cooldown := override.Cooldown; cooldown != nil {
		e.Cooldown.UserMS, e.ownersUser = millis(cooldown.UserSeconds, e.Cooldown.UserMS)
		e.Cooldown.ChannelMS, e.ownersChannel = millis(cooldown.ChannelSeconds, e.Cooldown.ChannelMS)
	}
}

// millis returns seconds in milliseconds, or otherwise if there are none.
func millis(seconds *int, otherwise int) (ms int, isSet bool) {
	if seconds == nil {
		return otherwise, false
	}
	return *seconds * int(time.Second/time.Millisecond), true
}
