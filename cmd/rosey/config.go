package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/legacy"
	"rosey.dev/rosey/runtime/status"
)

// configFlags are the flags of a command that override the environment and the configuration file.
type configFlags = config.Flags

// newConfigFlags adds the flag --config, whose default file may be absent, and a flag for each key that the command
// uses.
func newConfigFlags(flags *pflag.FlagSet, defaultFile string, keys []config.Key) *configFlags {
	return config.NewFlags(flags, defaultFile, "Configuration `file` in YAML or JSON, also that of Rosey v2", keys,
		legacy.ConvertConfig)
}

// keysExcept returns the keys of the configuration without those that have one of the paths or are in one of the
// sections.
func keysExcept(excluded ...string) []config.Key {
	return slices.DeleteFunc(config.Keys(), func(key config.Key) bool {
		section, _, _ := strings.Cut(key.Path, ".")
		return slices.Contains(excluded, key.Path) || slices.Contains(excluded, section)
	})
}

// keysAt returns the keys of the configuration with the given paths.
func keysAt(paths ...string) []config.Key { return config.KeysAt(paths...) }

func newConfigCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "config",
		Short: "Check configuration files, or print their schema",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return errors.New("config: expected check or schema") },
	}
	command.AddCommand(newCheckCommand(), &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of configuration files",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			schema, err := config.Schema()
			if err != nil {
				return exit.Failed(err)
			}
			return exit.Failed(printf(command.OutOrStdout(), "%s", schema))
		},
	})
	return command
}

// configUsers are the commands that load a configuration file, those that require fewer keys first.
var configUsers = []struct {
	command   string
	component status.Component
}{
	{"run", status.RunComponent}, {"bot", status.BotComponent}, {"db", status.DatabaseComponent},
	{"web", status.WebComponent},
}

func newCheckCommand() *cobra.Command {
	var user string
	command := &cobra.Command{
		Use:   "check FILE",
		Short: "Report errors in a configuration file, and keys that have no effect",
		Long: "Report errors in a configuration file, and keys that have no effect. A file of Rosey v2 is checked too.\n" +
			"So are the files that commandsFile and pluginsFile name, which the bot reads while it runs.\n" +
			"Environment variables and flags are ignored. The exit code is 2 if no command can use the file, or\n" +
			"one of those is not valid.",
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			if !slices.Contains([]string{"", "run", "bot", "db", "web"}, user) {
				return fmt.Errorf("--for: %q, expected run, bot, db or web", user)
			}
			return checkFile(command.OutOrStdout(), arguments[0], user)
		},
	}
	command.Flags().StringVar(&user, "for", "", "Check the file for this `command` only: run, bot, db or web")
	return command
}

func checkFile(out io.Writer, file, user string) error {
	var text bytes.Buffer
	var firstErr error
	usable := false
	var ofBot config.Config // what run or bot loads, with the files that these read while they run
	for _, each := range configUsers {
		if user != "" && user != each.command {
			continue
		}
		loaded, err := config.Sources{File: file, Convert: legacy.ConvertConfig}.Load(each.component)
		switch {
		case err == nil && !usable:
			usable = true
			writeLoaded(&text, loaded)
			fallthrough
		case err == nil:
			ofBot = botsConfig(each.component, loaded, ofBot)
			fmt.Fprintf(&text, "rosey %s: ok\n", each.command)
		case usable:
			missing := strings.TrimPrefix(err.Error(), "configuration "+file+": ")
			fmt.Fprintf(&text, "rosey %s: needs more, from flags or environment variables: %s\n",
				each.command, status.Printable(strings.ReplaceAll(missing, "\n", "; ")))
		case firstErr == nil:
			firstErr = err
		}
	}
	if !usable {
		return firstErr
	}
	if err := checkLiveFiles(&text, ofBot); err != nil {
		return err
	}
	return exit.Failed(printf(out, "%s", text.String()))
}

// botsConfig returns the configuration of run and bot, and otherwise that of before.
func botsConfig(component status.Component, loaded config.Loaded, before config.Config) config.Config {
	if component == status.RunComponent || component == status.BotComponent {
		return loaded.Config
	}
	return before
}

// checkLiveFiles reports the files that the bot reads while it runs, or what is wrong with them.
func checkLiveFiles(text *bytes.Buffer, c config.Config) error {
	live, _, _, err := config.NewLiveReader(c).Read()
	if err != nil {
		return err
	}
	if c.CommandsFile != "" {
		fmt.Fprintf(text, "%s: %d overrides of commands\n", status.Printable(c.CommandsFile), len(live.Commands.Overrides))
	}
	if c.PluginsFile != "" {
		fmt.Fprintf(text, "%s: %d plugins\n", status.Printable(c.PluginsFile), len(live.Plugins))
	}
	return nil
}

func writeLoaded(text *bytes.Buffer, loaded config.Loaded) {
	kind := "configuration"
	if loaded.Converted {
		kind = "configuration of Rosey v2"
	}
	fmt.Fprintf(text, "%s: %s for channel %s on %s\n", status.Printable(loaded.File), kind, loaded.Channel.Name,
		loaded.Channel.Server)
	for _, warning := range loaded.Warnings {
		fmt.Fprintf(text, "warning: %s\n", status.Printable(warning.String()))
	}
}
