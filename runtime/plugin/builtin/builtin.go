// Package builtin has the plugins of this program by their names. Each is a package of its own below this one, which
// uses package plugin alone: they are also examples of it.
package builtin

import (
	"maps"
	"slices"

	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/plugin/builtin/countdown"
	"rosey.dev/rosey/runtime/plugin/builtin/custom"
	"rosey.dev/rosey/runtime/plugin/builtin/dice"
	"rosey.dev/rosey/runtime/plugin/builtin/llm"
	"rosey.dev/rosey/runtime/plugin/builtin/playlist"
	"rosey.dev/rosey/runtime/plugin/builtin/polls"
	"rosey.dev/rosey/runtime/plugin/builtin/quotes"
	"rosey.dev/rosey/runtime/plugin/builtin/trivia"
	"rosey.dev/rosey/runtime/plugin/builtin/webapi"
)

// plugins are the constructors: a plugin runs once, so each start needs another one.
var plugins = map[string]func() *plugin.Plugin{
	"countdown": countdown.New,
	"custom":    custom.New,
	"dice":      dice.New,
	"http":      webapi.New,
	"llm":       llm.New,
	"playlist":  playlist.New,
	"polls":     polls.New,
	"quotes":    quotes.New,
	"trivia":    trivia.New,
}

// Names returns the names of all built-in plugins, sorted.
func Names() []string { return slices.Sorted(maps.Keys(plugins)) }

// New returns the built-in plugin of a name, and whether there is one.
func New(name string) (p *plugin.Plugin, exists bool) {
	create, exists := plugins[name]
	if !exists {
		return nil, false
	}
	return create(), true
}
