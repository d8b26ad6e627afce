package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/cli"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// newCLICommand makes a command that asks a bot over NATS.
func newCLICommand(
	use, short string, arguments cobra.PositionalArgs,
	do func(command *cobra.Command, client *cli.Client, arguments []string) error,
) *cobra.Command {
	var flags *settings
	command := &cobra.Command{
		Use: use, Short: short, Args: arguments,
		RunE: func(command *cobra.Command, arguments []string) error {
			loaded, err := flags.load(status.CLIComponent)
			if err != nil {
				return err
			}
			// Warnings of a configuration are for whoever runs the bot with it, not for each question to it.
			log := slog.New(slog.NewTextHandler(command.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
			client, err := cli.Connect(command.Context(), loaded.Config, log)
			if err != nil {
				return failed(err)
			}
			defer client.Close()
			return do(command, client, arguments)
		},
	}
	flags = newSettings(command.Flags(), "", keysOf("nats.url", "nats.subjectPrefix", "nats.credentialsDir", "nats.tlsDir",
		"channel.name", "channel.server"))
	command.Flags().Lookup("nats").Usage = "NATS servers, comma separated (default " + config.DefaultCLINATSURL +
		"); ROSEY_NATS_URL"
	command.Flags().Lookup("channel").Usage = "Channel, where several bots share one database service; ROSEY_CHANNEL_NAME"
	return command
}

func newSayCommand() *cobra.Command {
	command := newCLICommand("say TEXT", "Have a running bot say a line in its channel", aLine,
		func(command *cobra.Command, client *cli.Client, arguments []string) error {
			id, err := client.Say(command.Context(), strings.Join(arguments, " "))
			if err != nil {
				return failed(err)
			}
			return failed(printf(command.OutOrStdout(), "line %d waits for the bot to say it\n", id))
		})
	command.Long = "Have a running bot say a line in its channel. The line waits in the bot's database until it is\n" +
		"said, also while the bot is away, so the command ends before that."
	command.Example = `  rosey say 'The film starts in five minutes'
  rosey say --nats nats://nats.example:4222 --prefix rosey_default_movienight hello`
	return command
}

// aLine are arguments that make a line, as one or as its words.
func aLine(_ *cobra.Command, arguments []string) error {
	if strings.TrimSpace(strings.Join(arguments, " ")) == "" {
		return errors.New("expected TEXT, the line to say")
	}
	return nil
}

// one is a single argument, called what in messages.
func one(what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, arguments []string) error {
		if len(arguments) != 1 || arguments[0] == "" {
			return fmt.Errorf("expected one argument, %s, and not %d", what, len(arguments))
		}
		return nil
	}
}

func newTailCommand() *cobra.Command {
	var asJSON bool
	var filters []string
	command := newCLICommand("tail", "Watch what bots and database services send over NATS", cobra.NoArgs,
		func(command *cobra.Command, client *cli.Client, _ []string) error {
			filter, err := cli.ParseFilter(filters)
			if err != nil {
				return fmt.Errorf("--filter: %w", err)
			}
			return failed(tail(command.Context(), client, filter, asJSON, command.OutOrStdout(), command.ErrOrStderr()))
		})
	command.Flags().BoolVar(&asJSON, "json", false, "JSON, one message a line")
	command.Flags().StringArrayVar(&filters, "filter", nil,
		"only `what` matches: a subject without prefix (db.user.*, events.>) or a field (username=alice); may be given often")
	command.Example = `  rosey tail --filter db.message.log
  rosey tail --filter 'events.>' --filter user=alice --json | jq .payload`
	return command
}

func tail(
	ctx context.Context, client *cli.Client, filter cli.Filter, asJSON bool, out, notes io.Writer,
) error {
	buffered := bufio.NewWriter(out)
	encoder := json.NewEncoder(buffered)
	encoder.SetEscapeHTML(false)
	listening := func() { _, _ = fmt.Fprintln(notes, "listening; Ctrl-C ends it") }
	return client.Tail(ctx, filter, listening, func(message cli.Message) error {
		var err error
		if asJSON {
			err = encoder.Encode(message)
		} else {
			_, err = fmt.Fprintln(buffered, message.Line())
		}
		if err == nil {
			err = buffered.Flush() // a line is of use when it can be seen
		}
		if err != nil {
			return fmt.Errorf("writing: %w", err)
		}
		return nil
	})
}

func newTopCommand() *cobra.Command {
	var output string
	command := newCLICommand("top", "Show a channel's top chatters and records", cobra.NoArgs,
		func(command *cobra.Command, client *cli.Client, _ []string) error {
			stats, err := client.ChannelStats(command.Context())
			if err != nil {
				return failed(err)
			}
			return writeAs(command.OutOrStdout(), output, stats, topText(stats))
		})
	command.Example = "  rosey top\n  rosey top --channel movienight --output json"
	addOutput(command, &output)
	return command
}

func newUserCommand() *cobra.Command {
	var output string
	command := newCLICommand("user NAME", "Show what is known of a user", one("NAME"),
		func(command *cobra.Command, client *cli.Client, arguments []string) error {
			stats, err := client.UserStats(command.Context(), arguments[0])
			if err != nil {
				return failed(err)
			}
			if !stats.Found {
				return failed(fmt.Errorf("nobody called %q was ever seen in the channel", arguments[0]))
			}
			return writeAs(command.OutOrStdout(), output, stats, userText(stats))
		})
	command.Example = "  rosey user alice\n  rosey user alice --output json"
	addOutput(command, &output)
	return command
}

// addOutput adds the flag that writeAs takes. What it may be is checked before anything is asked.
func addOutput(command *cobra.Command, output *string) {
	command.Flags().StringVarP(output, "output", "o", "text", "text or json")
	command.PreRunE = func(*cobra.Command, []string) error {
		if *output != "text" && *output != "json" {
			return fmt.Errorf("--output: %q, expected text or json", *output)
		}
		return nil
	}
}

func writeAs(out io.Writer, output string, content any, text string) error {
	if output == "json" {
		return failed(writeIndented(out, content))
	}
	return failed(printf(out, "%s", text))
}

func printf(out io.Writer, format string, a ...any) error {
	if _, err := fmt.Fprintf(out, format, a...); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}
