package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/legacy"
	"rosey.dev/rosey/runtime/status"
)

func newConfigCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "config",
		Short: "Check configuration files, and show what they may hold",
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
				return failed(err)
			}
			return failed(printf(command.OutOrStdout(), "%s", schema))
		},
	})
	return command
}

// checkedFor are the commands that take a configuration file, the least demanding first.
var checkedFor = []struct {
	command   string
	component status.Component
}{
	{"run", status.RunComponent}, {"bot", status.BotComponent}, {"db", status.DatabaseComponent},
}

func newCheckCommand() *cobra.Command {
	var wanted string
	command := &cobra.Command{
		Use:   "check FILE",
		Short: "Say what is wrong with a configuration file and what in it has no effect",
		Long: "Say what is wrong with a configuration file, of our own keys or of Rosey v2, and what in it has no effect.\n" +
			"Environment and flags are not looked at. The exit code is 2 if no command can use the file.",
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			if !slices.Contains([]string{"", "run", "bot", "db"}, wanted) {
				return fmt.Errorf("--for: %q, expected run, bot or db", wanted)
			}
			return checkFile(command.OutOrStdout(), arguments[0], wanted)
		},
	}
	command.Flags().StringVar(&wanted, "for", "", "the `command` that shall use it: run, bot or db (default: any of them)")
	return command
}

func checkFile(out io.Writer, file, wanted string) error {
	var text bytes.Buffer
	var first error
	usable := false
	for _, each := range checkedFor {
		if wanted != "" && wanted != each.command {
			continue
		}
		loaded, err := config.Sources{File: file, Convert: legacy.ConvertConfig}.Load(each.component)
		if err != nil && first == nil {
			first = err
		}
		if err == nil && !usable {
			writeLoaded(&text, loaded)
		}
		usable = usable || err == nil
		if err == nil {
			fmt.Fprintf(&text, "rosey %s: ok\n", each.command)
		} else if usable {
			lacks := strings.TrimPrefix(err.Error(), "configuration "+file+": ")
			fmt.Fprintf(&text, "rosey %s: lacks, unless flags or environment say: %s\n",
				each.command, strings.ReplaceAll(lacks, "\n", "; "))
		}
	}
	if !usable {
		return first
	}
	return failed(printf(out, "%s", text.String()))
}

func writeLoaded(text *bytes.Buffer, loaded config.Loaded) {
	kind := "configuration"
	if loaded.Converted {
		kind = "configuration of Rosey v2"
	}
	fmt.Fprintf(text, "%s: %s of channel %s on %s\n", loaded.File, kind, loaded.Channel.Name, loaded.Channel.Server)
	for _, warning := range loaded.Warnings {
		fmt.Fprintf(text, "warning: %s\n", warning)
	}
}
