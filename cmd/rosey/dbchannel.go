package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/output"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/postgres"
)

func newChannelCommand(flags *configFlags) *cobra.Command {
	command := &cobra.Command{
		Use:   "channel",
		Short: "List the channels of a PostgreSQL database and who owns them, or assign one to another service",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return errors.New("channel: expected list or assign") },
	}
	command.AddCommand(newChannelListCommand(flags), newChannelAssignCommand(flags))
	return command
}

// ownedChannelRow is a channel and its owner in JSON.
type ownedChannelRow struct {
	Server  string `json:"server"`
	Channel string `json:"channel"`
	// OwnerPrefix is the subject prefix of the service that owns the channel, OwnerName its RoseyBot. They are empty if
	// nobody owns it.
	OwnerPrefix string `json:"ownerPrefix"`
	OwnerName   string `json:"ownerName"`
}

func newChannelListCommand(flags *configFlags) *cobra.Command {
	var format output.Format
	command := &cobra.Command{
		Use:   "list",
		Short: "List the channels of the database and who owns them",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			channels, err := readDatabase(flags, command,
				func(ctx context.Context, s store.Store, _ store.Channel) ([]store.OwnedChannel, error) {
					owners, ok := s.(store.ChannelOwners)
					if !ok {
						return nil, errNoOwners
					}
					return owners.Channels(ctx)
				})
			if err != nil {
				return err
			}
			rows := []ownedChannelRow{}
			for _, channel := range channels {
				rows = append(rows, ownedChannelRow{channel.Server, channel.Name, channel.Owner.Prefix, channel.Owner.Name})
			}
			return writeOutput(command.OutOrStdout(), format, rows, ownedChannelsText(rows))
		},
	}
	addOutputFlag(command, &format)
	return command
}

// errNoOwners is the error of commands that need a database with owners.
var errNoOwners = errors.New("database.sqlite: the channels of a SQLite database have no owners, because only one " +
	"service can use it; expected database.postgres")

func ownedChannelsText(rows []ownedChannelRow) string {
	if len(rows) == 0 {
		return "no channels\n"
	}
	var text bytes.Buffer
	writeTable(&text, "Channels", "CHANNEL\tSUBJECT PREFIX OF THE OWNER\tROSEYBOT", rows,
		func(row ownedChannelRow) string {
			return fmt.Sprintf("%s\t%s\t%s", status.Printable(row.Server+"/"+row.Channel),
				status.Printable(cmp.Or(row.OwnerPrefix, "-")), status.Printable(cmp.Or(row.OwnerName, "-")))
		})
	return text.String()
}

func newChannelAssignCommand(flags *configFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "assign",
		Short: "Make the configured service the owner of the configured channel, whoever owned it before",
		Long: "Make the service of this configuration (nats.subjectPrefix, name) the owner of its channel, whoever owned\n" +
			"it before. A service that waits for the channel starts by itself then, and the one that had it stops\n" +
			"taking messages. Stop that one first: two bots in one channel would store everything twice.",
		Example: `  kubectl exec deployment/movienight-db -- rosey db channel assign --config /etc/rosey/database.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			tool, err := newDatabaseTool(flags, command)
			if err != nil {
				return err
			}
			if !tool.database().postgres {
				return errNoOwners
			}
			before, err := tool.assignChannel(command.Context())
			if err != nil {
				return exit.Failed(err)
			}
			return exit.Failed(printf(command.OutOrStdout(), "channel %s on %s belongs to subject prefix %s now; before: %s\n",
				tool.config.Channel.Name, tool.config.Channel.Server, tool.config.NATS.SubjectPrefix,
				status.Printable(cmp.Or(before.Prefix, "nobody"))))
		},
	}
}

// assignChannel makes the configured service the owner of the configured channel, and returns who owned it before.
func (c *component) assignChannel(ctx context.Context) (before store.Service, err error) {
	opened, err := postgres.Open(ctx, c.database().path)
	if err != nil {
		return before, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	return opened.AssignChannel(ctx, c.serviceIdentity(), c.channel())
}
