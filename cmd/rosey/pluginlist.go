package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cli"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/output"
	"rosey.dev/rosey/runtime/pluginclient"
	"rosey.dev/rosey/runtime/status"
)

func newPluginListCommand() *cobra.Command {
	var flags *configFlags
	var format output.Format
	role := userRole(bus.CLIRole)
	command := &cobra.Command{
		Use:   "ls [PLUGIN...]",
		Short: "Ask the plugins of a channel what they offer",
		Long: "Ask the plugins of a channel, over NATS, what they offer: those of the bot's configuration, or those that\n" +
			"are named. Names and texts are the plugins' own; what the owner of the bot has changed, !help shows.",
		Example: "  rosey plugin ls --channel movienight --config rosey.yaml\n" +
			"  rosey plugin ls --channel movienight dice countdown",
		RunE: func(command *cobra.Command, names []string) error {
			loaded, err := flags.Load(status.CLIComponent)
			if err != nil {
				return err
			}
			names, err = pluginNames(loaded.Config, names)
			if err != nil {
				return err
			}
			offers, err := askPlugins(command, loaded.Config, bus.Role(role), names)
			if err != nil {
				return exit.Failed(err)
			}
			return writeOutput(command.OutOrStdout(), format, offers, offersText(loaded.Commands.Prefix, offers))
		},
	}
	flags = newConfigFlags(command.Flags(), "", keysAt("nats.url", "nats.subjectPrefix", "nats.credentialsDir",
		"nats.tlsDir", "channel.name", "pluginsFile"))
	command.Flags().Var(&role, "role", roleUsage)
	addOutputFlag(command, &format)
	return command
}

// pluginNames returns the names of the plugins to ask.
func pluginNames(c config.Config, named []string) ([]string, error) {
	if c.Channel.Name == "" {
		return nil, errors.New("--channel: required, the channel of the plugins")
	}
	for _, name := range named {
		if !bus.IsPluginName(name) {
			return nil, fmt.Errorf("%q: expected the name of a plugin, 1 to %d lower-case letters and digits", name,
				bus.MaxPluginName)
		}
	}
	if len(named) > 0 {
		return named, nil
	}
	c.CommandsFile = ""
	live, _, _, err := config.NewLiveReader(c).Read()
	if err != nil {
		return nil, err
	}
	for _, one := range live.Plugins {
		named = append(named, one.Name)
	}
	if len(named) == 0 {
		return nil, errors.New("the configuration has no plugins: name the bot's with --config, or the plugins themselves")
	}
	return named, nil
}

// pluginOffer is what one plugin answers.
type pluginOffer struct {
	Name string `json:"name"`
	// Processes is how many answer. 0: the plugin is away.
	Processes int                 `json:"processes"`
	Version   string              `json:"version,omitempty"`
	Commands  []bus.PluginCommand `json:"commands"`
	Problems  []string            `json:"problems,omitempty"`
}

// askPlugins asks all plugins at the same time.
func askPlugins(
	command *cobra.Command, c config.Config, role bus.Role, names []string,
) ([]pluginOffer, error) {
	ctx := command.Context()
	subjects, err := bus.NewSubjects(c.NATS.SubjectPrefix)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(command.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	conn, err := cli.Dial(ctx, c.NATS, "rosey cli", subjects.InboxPrefix(role), log)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	offers := make([]pluginOffer, len(names))
	var all sync.WaitGroup
	for i, name := range names {
		own, err := subjects.Plugin(c.Channel.Name, name)
		if err != nil {
			return nil, err
		}
		all.Go(func() { offers[i] = askPlugin(ctx, conn, own) })
	}
	all.Wait()
	return offers, nil
}

func askPlugin(ctx context.Context, conn *bus.Conn, own bus.PluginSubjects) pluginOffer {
	instances := pluginclient.Discover(ctx, conn, own)
	offer := pluginOffer{Name: own.Name, Processes: len(instances), Commands: []bus.PluginCommand{}}
	for _, one := range instances {
		offer.Version = one.Version
		for _, declared := range one.Commands {
			isKnown := func(other bus.PluginCommand) bool { return other.Name == declared.Name }
			if !slices.ContainsFunc(offer.Commands, isKnown) {
				offer.Commands = append(offer.Commands, declared)
			}
		}
		offer.Problems = append(offer.Problems, one.Problems...)
	}
	slices.SortFunc(offer.Commands, func(a, b bus.PluginCommand) int { return cmp.Compare(a.Name, b.Name) })
	slices.Sort(offer.Problems)
	offer.Problems = slices.Compact(offer.Problems)
	return offer
}

func offersText(prefix string, offers []pluginOffer) string {
	var text bytes.Buffer
	for _, offer := range offers {
		if offer.Processes == 0 {
			fmt.Fprintf(&text, "%s: nobody answers\n", offer.Name)
			continue
		}
		fmt.Fprintf(&text, "%s %s, %d running\n", offer.Name, status.Printable(offer.Version), offer.Processes)
		for _, one := range offer.Commands {
			usage := strings.TrimSpace(prefix + one.Name + " " + one.Usage)
			fmt.Fprintf(&text, "  %s  %s\n", status.Printable(usage), status.Printable(one.Help))
		}
		for _, problem := range offer.Problems {
			fmt.Fprintf(&text, "  PROBLEM: %s\n", status.Printable(problem))
		}
	}
	return text.String()
}
