package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// What people do with the database beside the service, by the program rosey in the pod that has it open.

// checkFlag is that of the list of backups.
func checkFlag(flags *pflag.FlagSet) { flags.Bool("check", false, "Read all of each file") }

func newShowCommand(app *app) *cobra.Command {
	return inPod{
		use: "show NAME", short: "Show what is stored: the last lines, the top chatters, the users",
		example: "  kubectl rosey show movienight --limit 10",
		rosey:   []string{"db", "show"}, place: (*cluster).databasePlace, output: true,
		flags: func(flags *pflag.FlagSet) {
			flags.Int("limit", 20, "Maximum number of chat lines, of chatters and of samples; 0 is all")
		},
	}.command(app)
}

func newDeadCommand(app *app) *cobra.Command {
	command := &cobra.Command{
		Use: "dead", Short: "List, retry or drop dead letters: messages that could not be stored",
		Long: "List, retry or drop dead letters: messages that could not be stored. RoseyBots that share a database share\n" +
			"its dead letters.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return errors.New("dead: expected list, retry or drop") },
	}
	command.AddCommand(
		inPod{
			use: "list NAME", short: "List dead letters, each with its reason",
			example: "  kubectl rosey dead list movienight",
			rosey:   []string{"db", "dead", "list"}, place: (*cluster).databasePlace, output: true,
		}.command(app),
		newDeadChangeCommand(app, "retry", "Store dead letters again, and keep those that fail"),
		newDeadChangeCommand(app, "drop", "Delete dead letters, after you have confirmed it"))
	return command
}

func newDeadChangeCommand(app *app, verb, short string) *cobra.Command {
	change := inPod{
		use: verb + " NAME (ID... | --all)", short: short,
		example:   fmt.Sprintf("  kubectl rosey dead %s movienight --all", verb),
		arguments: anyNumber, rosey: []string{"db", "dead", verb}, place: (*cluster).databasePlace,
		flags: func(flags *pflag.FlagSet) { flags.Bool("all", false, "All dead letters of the database service") },
	}
	if verb == "drop" {
		change.asks = func(flags *pflag.FlagSet, arguments []string) string {
			which := "The dead letters " + strings.Join(arguments[1:], ", ")
			if all, err := flags.GetBool("all"); err == nil && all {
				which = "All dead letters"
			}
			return fmt.Sprintf("%s of the database of %s are deleted for good.", which, arguments[0])
		}
	}
	command := change.command(app)
	named := command.Args
	command.Args = func(command *cobra.Command, arguments []string) error {
		if err := named(command, arguments); err != nil {
			return err
		}
		all, err := command.Flags().GetBool("all")
		if err == nil && all == (len(arguments) > 1) { // checked here too, since drop asks before rosey sees them
			err = errors.New("expected, after the NAME of a RoseyBot, IDs as dead list shows them, or --all")
		}
		return err
	}
	return command
}
