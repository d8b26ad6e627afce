package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cli"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/output"
	"rosey.dev/rosey/runtime/status"
)

func newUserExportCommand() *cobra.Command {
	const short = "Write everything that is stored about a user, as JSON Lines"
	command := newCLICommand("export NAME", short, requireOne("NAME"),
		func(command *cobra.Command, client *cli.Client, arguments []string) error {
			out := bufio.NewWriter(command.OutOrStdout())
			encoder := json.NewEncoder(status.JSONWriter(out))
			encoder.SetEscapeHTML(false)
			err := client.ExportPerson(command.Context(), arguments[0], func(item bus.PeopleItem) error {
				return encoder.Encode(item)
			})
			return exit.Failed(errors.Join(err, out.Flush()))
		})
	command.Long = "Write everything that is stored about a user of the channel, one JSON object per line: lines,\n" +
		"sessions, counts, commands by private message, media that they queued, outbound lines that they\n" +
		"asked for, and dead letters that name them. NATS has a permission of its own for it."
	command.Example = "  rosey user export alice > alice.jsonl"
	return command
}

func newUserForgetCommand() *cobra.Command {
	var yes bool
	var format output.Format
	command := newCLICommand("forget NAME", "Remove everything that is stored about a user", requireOne("NAME"),
		func(command *cobra.Command, client *cli.Client, arguments []string) error {
			if !yes {
				return fmt.Errorf("--yes: expected, because what is stored about %s is removed for good; "+
					"rosey user export writes it first", status.OneLine(arguments[0], maxReplyError))
			}
			reply, err := client.ForgetPerson(command.Context(), arguments[0])
			if err != nil {
				return exit.Failed(err)
			}
			return writeOutput(command.OutOrStdout(), format, reply, forgottenText(arguments[0], reply))
		})
	command.Long = "Remove everything that is stored about a user of the channel. What happened until now does not\n" +
		"come back with a repetition by CyTube, from the stream or by an import; what they do later is stored.\n" +
		"What others wrote about them stays. Backups are not changed: their names are shown.\n" +
		"NATS has a permission of its own for it."
	command.Flags().BoolVar(&yes, "yes", false, "Remove it: without this flag, nothing is removed")
	command.Example = "  rosey user export alice > alice.jsonl\n  rosey user forget alice --yes"
	addOutputFlag(command, &format)
	return command
}

// personKinds are what is removed, in words.
var personKinds = map[bus.PeopleKind]string{
	bus.PeopleUser: "names and counts", bus.PeopleSession: "joins and leaves", bus.PeopleLine: "lines",
	bus.PeopleHour: "hours with lines", bus.PeoplePlay: "media that they queued, without their name now",
	bus.PeopleAction: "commands", bus.PeopleOutbound: "lines that they asked for, without their name now",
	bus.PeopleDeadLetter: "dead letters",
}

func forgottenText(name string, reply bus.PeopleForgetReply) string {
	var text bytes.Buffer
	fmt.Fprintf(&text, "Nothing is stored about %s any more of the time until %s UTC.\n", status.Printable(name),
		time.UnixMilli(reply.Until).UTC().Format(time.DateTime))
	for _, kind := range slices.Sorted(maps.Keys(personKinds)) {
		if count := reply.Removed[kind]; count > 0 {
			fmt.Fprintf(&text, "  %-6d %s\n", count, personKinds[kind])
		}
	}
	if len(reply.Backups) == 0 {
		text.WriteString("The database service knows of no backups. Other copies of the database still have it.\n")
		return text.String()
	}
	text.WriteString("These backups still have it. After one of them is restored, it has to be removed again:\n")
	for _, backup := range reply.Backups {
		fmt.Fprintf(&text, "  %s\n", status.Printable(backup))
	}
	return text.String()
}
