package pluginclient

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/nats-io/nats.go/micro"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

// Limits of what a plugin offers, in characters where they are about texts.
const (
	maxID       = 64
	maxVersion  = 40
	maxUsage    = 80
	maxHelpText = 200
	maxExample  = 100
	maxExamples = 5
	maxAliases  = 5
	maxProblems = 5
	maxRank     = 255
	maxCooldown = 7 * 24 * time.Hour
)

// Instance is a process of a plugin, and what it offers.
type Instance struct {
	ID, Version string
	// IsOpen is whether its NATS user may receive what is for other plugins.
	IsOpen bool
	// Commands have everything in its limits.
	Commands []bus.PluginCommand
	// Problems are what is wrong with the rest that it offers.
	Problems []string
}

// readInstance returns what a process says that it offers, without what it must not offer. ok is false if it is not a
// process of the plugin.
func readInstance(subjects bus.PluginSubjects, data []byte) (one Instance, ok bool) {
	var info micro.Info
	if len(data) > maxInfoBytes || json.Unmarshal(data, &info) != nil || info.Name != subjects.ServiceName() ||
		info.ID == "" || len(info.ID) > maxID {
		return Instance{}, false
	}
	one = Instance{
		ID: info.ID, Version: status.OneLine(info.Version, maxVersion),
		IsOpen: info.Metadata[bus.PermissionsMetadata] == bus.PermissionsOpen,
	}
	for _, endpoint := range info.Endpoints {
		one.offer(subjects, endpoint)
	}
	return one, true
}

// offer adds the command of an endpoint.
func (i *Instance) offer(subjects bus.PluginSubjects, endpoint micro.EndpointInfo) {
	name := status.OneLine(endpoint.Name, maxUsage)
	metadata, isCommand := endpoint.Metadata[bus.CommandMetadata]
	if !isCommand && subjects.Owns(endpoint.Subject) {
		return
	}
	declared, problem := readCommand(metadata)
	switch {
	case !isCommand:
		problem = "its subject is not one of the plugin: " + status.OneLine(endpoint.Subject, maxHelpText)
	case problem != "":
	case endpoint.Subject != subjects.Call(declared.Name):
		problem = fmt.Sprintf("its subject is %s, expected %s", status.OneLine(endpoint.Subject, maxHelpText),
			subjects.Call(declared.Name))
	case len(i.Commands) >= bus.MaxPluginCommands:
		problem = fmt.Sprintf("a plugin has at most %d commands", bus.MaxPluginCommands)
	case slices.ContainsFunc(i.Commands, func(c bus.PluginCommand) bool { return c.Name == declared.Name }):
		problem = "the command " + declared.Name + " is declared twice"
	}
	if problem == "" {
		i.Commands = append(i.Commands, declared)
		return
	}
	if len(i.Problems) < maxProblems {
		i.Problems = append(i.Problems, "endpoint "+name+": "+problem)
	}
}

// readCommand returns the command in the metadata of an endpoint, with everything in its limits, or what is wrong with
// it.
func readCommand(metadata string) (c bus.PluginCommand, problem string) {
	if len(metadata) > bus.MaxPluginMetadataBytes {
		return c, fmt.Sprintf("%s: %d bytes, expected at most %d", bus.CommandMetadata, len(metadata),
			bus.MaxPluginMetadataBytes)
	}
	if err := json.Unmarshal([]byte(metadata), &c); err != nil {
		return c, bus.CommandMetadata + ": expected a command as JSON"
	}
	if !bus.IsPluginCommand(c.Name) {
		return c, "name: expected 1 to 30 lower-case letters, digits, '-' and '_'"
	}
	c.Aliases = slices.DeleteFunc(c.Aliases, func(alias string) bool { return !bus.IsPluginAlias(alias) })
	c.Aliases = c.Aliases[:min(len(c.Aliases), maxAliases)]
	c.Usage, c.Help = status.OneLine(c.Usage, maxUsage), status.OneLine(c.Help, maxHelpText)
	c.Examples = c.Examples[:min(len(c.Examples), maxExamples)]
	for i, example := range c.Examples {
		c.Examples[i] = status.OneLine(example, maxExample)
	}
	c.Rank = min(max(c.Rank, 0), maxRank)
	c.Cooldown.UserMS = within(c.Cooldown.UserMS, maxCooldown)
	c.Cooldown.ChannelMS = within(c.Cooldown.ChannelMS, maxCooldown)
	c.TimeoutMS = within(c.TimeoutMS, bus.MaxPluginTimeout)
	if unknown := slices.DeleteFunc(slices.Clone(c.Via), isVia); len(unknown) > 0 {
		return c, fmt.Sprintf("via: expected %s or %s", bus.ViaChat, bus.ViaPM)
	}
	return c, ""
}

func isVia(via string) bool { return via == bus.ViaChat || via == bus.ViaPM }

// within returns a number of milliseconds from 0 to most.
func within(millis int, most time.Duration) int { return min(max(millis, 0), int(most.Milliseconds())) }

func equalCommands(a, b bus.PluginCommand) bool { return reflect.DeepEqual(a, b) }

// timeout returns how long a call of a command may take.
func timeout(c bus.PluginCommand) time.Duration {
	if c.TimeoutMS == 0 {
		return bus.PluginTimeout
	}
	return time.Duration(c.TimeoutMS) * time.Millisecond
}
