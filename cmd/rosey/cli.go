package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cli"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/output"
	"rosey.dev/rosey/runtime/status"
)

// newCLICommand returns a command that uses a running bot over NATS.
func newCLICommand(
	use, short string, arguments cobra.PositionalArgs,
	do func(command *cobra.Command, client *cli.Client, arguments []string) error,
) *cobra.Command {
	var flags *configFlags
	role := userRole(bus.CLIRole)
	command := &cobra.Command{
		Use: use, Short: short, Args: arguments,
		RunE: func(command *cobra.Command, arguments []string) error {
			loaded, err := flags.Load(status.CLIComponent)
			if err != nil {
				return err
			}
			// The warnings of the configuration are ignored: they are for the person who runs the bot with it.
			log := slog.New(slog.NewTextHandler(command.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelWarn}))
			if err := traceCommand(command, loaded.Telemetry); err != nil {
				return err
			}
			client, err := cli.Connect(command.Context(), loaded.Config, bus.Role(role), log)
			if err != nil {
				return exit.Failed(err)
			}
			defer client.Close()
			return do(command, client, arguments)
		},
	}
	flags = newConfigFlags(command.Flags(), "", keysAt("nats.url", "nats.subjectPrefix", "nats.credentialsDir",
		"nats.tlsDir", "channel.name", "channel.server"))
	command.Flags().Lookup("nats").Usage = "URLs of the NATS servers, comma separated (default " +
		config.DefaultCLINATSURL + "); ROSEY_NATS_URL"
	command.Flags().Lookup("channel").Usage = "Channel of the bot, if several bots share one service; ROSEY_CHANNEL_NAME"
	command.Flags().Var(&role, "role", roleUsage)
	return command
}

// userRole is the value of --role: the role of the NATS user that a command for people logs in as.
type userRole bus.Role

const roleUsage = "`Role` of the NATS user: cli, or bot with the configuration of a bot"

// String implements pflag.Value.
func (r *userRole) String() string { return string(*r) }

// Type implements pflag.Value.
func (r *userRole) Type() string { return "role" }

// Set implements pflag.Value.
func (r *userRole) Set(text string) error {
	if role := bus.Role(text); role != bus.CLIRole && role != bus.BotRole {
		return errors.New("expected cli or bot")
	}
	*r = userRole(text)
	return nil
}

func newSayCommand() *cobra.Command {
	command := newCLICommand("say TEXT", "Queue a line for a running bot to say in its channel", requireText,
		func(command *cobra.Command, client *cli.Client, arguments []string) error {
			id, err := client.Say(command.Context(), strings.Join(arguments, " "))
			if err != nil {
				return exit.Failed(err)
			}
			return exit.Failed(printf(command.OutOrStdout(), "line %d is queued for the bot\n", id))
		})
	command.Long = "Queue a line for a running bot to say in its channel. The line is stored in the bot's database;\n" +
		"the bot says it within seconds, or when it is back in the channel. A text that begins with \"/\" is a\n" +
		"command, which CyTube executes with the bot's rank; NATS has a permission of its own for it."
	command.Example = `  rosey say 'The film starts in five minutes'
  rosey say --nats nats://nats.example:4222 --prefix rosey_default_movienight hello`
	return command
}

// requireText checks that there is a line to say, as one argument or as several.
func requireText(_ *cobra.Command, arguments []string) error {
	if strings.TrimSpace(strings.Join(arguments, " ")) == "" {
		return errors.New("expected TEXT, the line to say")
	}
	return nil
}

// requireOne checks that there is one argument. name is for the error.
func requireOne(name string) cobra.PositionalArgs {
	return func(_ *cobra.Command, arguments []string) error {
		if len(arguments) != 1 || arguments[0] == "" {
			return fmt.Errorf("expected one argument, %s, got %d", name, len(arguments))
		}
		return nil
	}
}

func newTailCommand() *cobra.Command {
	var asJSON bool
	var filters []string
	command := newCLICommand("tail", "Show the messages that bots and database services send over NATS", cobra.NoArgs,
		func(command *cobra.Command, client *cli.Client, _ []string) error {
			filter, err := cli.ParseFilter(filters)
			if err != nil {
				return fmt.Errorf("--filter: %w", err)
			}
			return exit.Failed(tail(command.Context(), client, filter, asJSON, command.OutOrStdout(), command.ErrOrStderr()))
		})
	command.Flags().BoolVar(&asJSON, "json", false, "Write one JSON object per line")
	command.Flags().StringArrayVar(&filters, "filter", nil,
		"Show only messages with this `subject or field`, such as db.user.*, events.> or username=alice; can be repeated")
	command.Example = `  rosey tail --filter db.message.log
  rosey tail --filter 'events.>' --filter user=alice --json | jq .payload`
	return command
}

func tail(
	ctx context.Context, client *cli.Client, filter cli.Filter, asJSON bool, out, notices io.Writer,
) error {
	buffered := bufio.NewWriter(out)
	encoder := json.NewEncoder(status.JSONWriter(buffered))
	encoder.SetEscapeHTML(false)
	subscribed := func() { _, _ = fmt.Fprintln(notices, "watching; press Ctrl-C to stop") }
	return client.Tail(ctx, filter, subscribed, func(message cli.Message) error {
		var err error
		if asJSON {
			err = encoder.Encode(message)
		} else {
			_, err = fmt.Fprintln(buffered, message.Line())
		}
		if err == nil {
			err = buffered.Flush() // a message should be visible at once
		}
		if err != nil {
			return fmt.Errorf("writing the output: %w", err)
		}
		return nil
	})
}

func newTopCommand() *cobra.Command {
	var format output.Format
	command := newCLICommand("top", "Show the top chatters and the records of a channel", cobra.NoArgs,
		func(command *cobra.Command, client *cli.Client, _ []string) error {
			stats, err := client.ChannelStats(command.Context())
			if err != nil {
				return exit.Failed(err)
			}
			return writeOutput(command.OutOrStdout(), format, stats, topText(stats))
		})
	command.Example = "  rosey top\n  rosey top --channel movienight --output json"
	addOutputFlag(command, &format)
	return command
}

func newUserCommand() *cobra.Command {
	var format output.Format
	command := newCLICommand("user NAME", "Show what is stored about a user", requireOne("NAME"),
		func(command *cobra.Command, client *cli.Client, arguments []string) error {
			stats, err := client.UserStats(command.Context(), arguments[0])
			if err != nil {
				return exit.Failed(err)
			}
			if !stats.Found {
				return exit.Failed(fmt.Errorf("user %q has never been seen in the channel", arguments[0]))
			}
			return writeOutput(command.OutOrStdout(), format, stats, userText(stats))
		})
	command.Example = "  rosey user alice\n  rosey user alice --output json"
	addOutputFlag(command, &format)
	command.AddCommand(newUserExportCommand(), newUserForgetCommand())
	return command
}

func topText(stats bus.ChannelStatsReply) string {
	if stats.TotalUsersSeen == 0 {
		return "Nothing is stored for the channel. Are --server and --channel correct?\n"
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "Users seen: %d. Times are UTC.\n", stats.TotalUsersSeen)
	fmt.Fprintf(&text, "Maxima: %s in chat, %s connected\n",
		maximumText(stats.HighWaterMark), maximumText(stats.HighWaterConnected))
	writeTable(&text, "Top chatters", "USER\tLINES", stats.TopChatters, func(chatter bus.TopChatter) string {
		return fmt.Sprintf("%s\t%d", status.Printable(chatter.Username), chatter.ChatLines)
	})
	return text.String()
}

func maximumText(mark bus.HighWaterMark) string {
	if mark.Timestamp == nil {
		return fmt.Sprint(mark.Users)
	}
	return fmt.Sprintf("%d (%s)", mark.Users, formatSeconds(*mark.Timestamp))
}

func userText(stats bus.UserStatsReply) string {
	presence := "not in the channel"
	if stats.CurrentSessionStart != nil {
		presence = "in the channel since " + formatSeconds(*stats.CurrentSessionStart)
	}
	return fmt.Sprintf(`%s, %s. Times are UTC.
  first seen  %s
  last seen   %s
  lines       %d
  connected   %s in completed sessions
`, status.Printable(stats.Username), presence, formatSeconds(stats.FirstSeen), formatSeconds(stats.LastSeen),
		stats.TotalChatLines, time.Duration(stats.TotalTimeConnected)*time.Second)
}
