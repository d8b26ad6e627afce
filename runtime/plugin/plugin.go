package plugin

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// Plugin is what a plugin declares: its commands, and what it does by itself. Declare everything before Run, which
// returns an error for whatever is wrong with it. A Plugin runs once.
type Plugin struct {
	name, version string
	events        map[string]EventHandler
	timers        []timer
	starts        []func(ctx context.Context, c *Channel) error
	settings      []Setting
	counters      []string
	problems      []error

	runner atomic.Pointer[runner] // nil before Run

	mu       sync.Mutex
	commands []command
}

type timer struct {
	interval time.Duration
	do       func(ctx context.Context, c *Channel) error
}

// New returns a Plugin that does nothing yet. The name is 1 to 30 lower-case letters and digits; whoever runs the
// plugin may give it another one in their channel. The version is that of the program, for example "1.0.0".
func New(name, version string) *Plugin {
	p := &Plugin{name: name, version: version, events: map[string]EventHandler{}}
	if !bus.IsPluginName(name) {
		p.wrong("name %q: expected 1 to %d lower-case letters and digits", name, bus.MaxPluginName)
	}
	return p
}

// Name returns the name that New got.
func (p *Plugin) Name() string { return p.name }

// Version returns the version that New got.
func (p *Plugin) Version() string { return p.version }

func (p *Plugin) wrong(format string, arguments ...any) {
	p.problems = append(p.problems, fmt.Errorf(format, arguments...))
}

// Command declares a command. handle is called in a goroutine of its own for each call.
func (p *Plugin) Command(c Command, handle Handler) {
	if err := p.add(command{Command: c, handle: handle}); err != nil {
		p.wrong("%w", err)
	}
}

// add adds a command.
func (p *Plugin) add(declared command) error {
	if err := declared.check(); err != nil {
		return fmt.Errorf("command %q: %w", declared.Name, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, name := range append([]string{declared.Name}, declared.Aliases...) {
		if slices.ContainsFunc(p.commands, func(other command) bool { return other.isCalled(name) }) {
			return fmt.Errorf("command %q: another one has the name %q too", declared.Name, name)
		}
	}
	if len(p.commands) >= bus.MaxPluginCommands {
		return fmt.Errorf("command %q: expected at most %d commands", declared.Name, bus.MaxPluginCommands)
	}
	p.commands = append(slices.Clone(p.commands), declared)
	return nil
}

// remove removes a command, and reports whether there was one of this name.
func (p *Plugin) remove(name string) (existed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	isMeant := func(c command) bool { return c.Name == name }
	existed = slices.ContainsFunc(p.commands, isMeant)
	p.commands = slices.DeleteFunc(slices.Clone(p.commands), isMeant)
	return existed
}

// declared returns the commands as they are now. The slice does not change.
func (p *Plugin) declared() []command {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.commands
}

// On makes the plugin react to an event of the channel, such as UserJoined; any name of an event of the feed is
// possible. It needs the event in its grants. Events are handled one after the other, in their order.
func (p *Plugin) On(event string, handle EventHandler) {
	if len(event) > maxEventName || !validEvent.MatchString(event) {
		p.wrong("event %q: expected letters, digits, '-' and '_'", event)
	}
	if _, exists := p.events[event]; exists {
		p.wrong("event %q: it has a handler already", event)
	}
	p.events[event] = handle
}

var validEvent = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

const maxEventName = 64

// Every makes the plugin do something again and again, first one interval after its start. If it takes longer than the
// interval, the next time is later. An error is logged. Each process of the plugin does it: with several replicas, use
// KV to do something once.
func (p *Plugin) Every(interval time.Duration, do func(ctx context.Context, c *Channel) error) {
	if interval < minInterval {
		p.wrong("every %v: expected at least %v", interval, minInterval)
	}
	p.timers = append(p.timers, timer{interval, do})
}

// minInterval is the shortest interval of Every.
const minInterval = 100 * time.Millisecond

// OnStart makes the plugin do something when it starts, before it is called. An error ends Run.
func (p *Plugin) OnStart(do func(ctx context.Context, c *Channel) error) {
	p.starts = append(p.starts, do)
}

// Counter declares something that the plugin counts, of 1 to 30 letters in lower case, digits and '_', such as
// "tokens": Channel.Count adds to it. It is a series of the metric rosey_plugin_counted_total, with this name as its
// label what, and so no text from outside.
func (p *Plugin) Counter(what string) {
	switch {
	case len(what) > maxCounterName || !validCounter.MatchString(what):
		p.wrong("counter %q: expected 1 to %d of a-z, 0-9 and '_'", what, maxCounterName)
	case slices.Contains(p.counters, what):
		p.wrong("counter %q: declared twice", what)
	case len(p.counters) >= maxCounters:
		p.wrong("counter %q: expected at most %d", what, maxCounters)
	}
	p.counters = append(p.counters, what)
}

var validCounter = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

const maxCounters, maxCounterName = 10, 30

// Setting declares a setting, which whoever runs the plugin may give a value.
func (p *Plugin) Setting(s Setting) {
	if len(s.Name) > maxSettingName || !validSetting.MatchString(s.Name) {
		p.wrong("setting %q: expected 1 to 63 letters, digits, '.', '-' and '_', and perhaps .* at the end", s.Name)
	}
	if slices.ContainsFunc(p.settings, func(other Setting) bool { return other.Name == s.Name }) {
		p.wrong("setting %q: declared twice", s.Name)
	}
	if s.Default != "" && s.Check != nil {
		if err := s.Check(s.Default); err != nil {
			p.wrong("setting %q: its default %q: %w", s.Name, s.Default, err)
		}
	}
	p.settings = append(p.settings, s)
}

// Settings returns what was declared by Setting.
func (p *Plugin) Settings() []Setting { return slices.Clone(p.settings) }

// Commands returns what was declared by Command, and by Channel.Declare.
func (p *Plugin) Commands() []Command {
	var all []Command
	for _, one := range p.declared() {
		all = append(all, one.Command)
	}
	return all
}

// Events returns the names of the events that the plugin reacts to, sorted.
func (p *Plugin) Events() []string {
	var all []string
	for name := range p.events {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// Intervals returns those of Every.
func (p *Plugin) Intervals() []time.Duration {
	var all []time.Duration
	for _, one := range p.timers {
		all = append(all, one.interval)
	}
	return all
}

// Problems returns what is wrong with the declarations, or nil.
func (p *Plugin) Problems() error { return errors.Join(p.problems...) }
