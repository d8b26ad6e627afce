package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// What people do in a channel, by the program rosey in a pod of the bot and with the bot's NATS user.

func newSayCommand(app *app) *cobra.Command {
	return inPod{
		use: "say NAME TEXT", short: "Queue a line for the bot to say in its channel",
		long: "Queue a line for the bot to say in its channel. It is stored in the database; the bot says it within\n" +
			"seconds, or when it is back in the channel. A text that begins with \"/\" is a command, which CyTube executes\n" +
			"with the bot's rank.",
		example:   "  kubectl rosey say movienight 'The film starts in five minutes'",
		arguments: someText, rosey: []string{"say"}, place: (*cluster).natsPlace,
	}.command(app)
}

func newTailCommand(app *app) *cobra.Command {
	return inPod{
		use: "tail NAME", short: "Show what the bot and the database service send over NATS, until Ctrl-C",
		long: "Show what the bot and the database service send over NATS, until Ctrl-C. Where the bot has a NATS user of\n" +
			"its own, that may not listen: then run rosey tail with a user of the role cli.",
		example: "  kubectl rosey tail movienight --filter db.message.log\n" +
			"  kubectl rosey tail movienight --filter 'events.>' --json",
		rosey: []string{"tail"}, place: (*cluster).natsPlace, endless: true,
		flags: func(flags *pflag.FlagSet) {
			flags.Bool("json", false, "Write one JSON object per line")
			flags.StringArray("filter", nil,
				"Show only messages with this `subject or field`, such as db.user.*, events.> or username=alice; can be repeated")
		},
	}.command(app)
}

func newTopCommand(app *app) *cobra.Command {
	return inPod{
		use: "top NAME", short: "Show the top chatters and the records of the channel",
		example: "  kubectl rosey top movienight -o json",
		rosey:   []string{"top"}, place: (*cluster).natsPlace, output: true,
	}.command(app)
}

func newUserCommand(app *app) *cobra.Command {
	command := inPod{
		use: "user NAME USER", short: "Show what is stored about a user of the channel",
		example:   "  kubectl rosey user movienight alice",
		arguments: oneUser, rosey: []string{"user"}, place: (*cluster).natsPlace, output: true,
	}.command(app)
	command.AddCommand(
		inPod{
			use: "export NAME USER", short: "Write everything that is stored about a user, as JSON Lines",
			example:   "  kubectl rosey user export movienight alice >alice.jsonl",
			arguments: oneUser, rosey: []string{"user", "export"}, place: (*cluster).natsPlace,
		}.command(app),
		newForgetCommand(app))
	return command
}

func newForgetCommand(app *app) *cobra.Command {
	return inPod{
		use: "forget NAME USER", short: "Remove everything that is stored about a user, after you have confirmed it",
		example:   "  kubectl rosey user forget movienight alice",
		arguments: oneUser, rosey: []string{"user", "forget", "--yes"}, place: (*cluster).natsPlace, output: true,
		asks: func(_ *pflag.FlagSet, arguments []string) string {
			return fmt.Sprintf("What the database of %s has about %q is removed for good. user export writes it first.",
				arguments[0], arguments[1])
		},
	}.command(app)
}

func newPluginsCommand(app *app) *cobra.Command {
	command := inPod{
		use: "plugins NAME [PLUGIN...]", short: "Ask the plugins of the channel what they offer",
		example:   "  kubectl rosey plugins movienight",
		arguments: anyNumber, rosey: []string{"plugin", "ls"}, place: (*cluster).natsPlace, output: true,
	}.command(app)
	command.AddCommand(inPod{
		use: "check NAME [PLUGIN...]", short: "Check whether the plugins of the channel are as they should be",
		example:   "  kubectl rosey plugins check movienight dice",
		arguments: anyNumber, rosey: []string{"plugin", "check", "--running"}, place: (*cluster).natsPlace, output: true,
		flags: func(flags *pflag.FlagSet) { flags.Bool("call", false, "Call the examples of the plugins") },
	}.command(app))
	return command
}
