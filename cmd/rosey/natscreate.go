package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cli"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/leader"
	"rosey.dev/rosey/runtime/status"
)

// createTimeout bounds the creation of one object, on which several servers may have to agree.
const createTimeout = 10 * time.Second

func newNATSCreateCommand() *cobra.Command {
	var flags *configFlags
	command := &cobra.Command{
		Use:   "create",
		Short: "Create the stream, the consumer and the bucket of one bot, or update their limits",
		Long: "Create the JetStream stream, its consumer and the bucket of the leader election for the bot with the\n" +
			"subject prefix, or update the limits of those that exist. With nats.jetStream.provisioning: manual, bot and\n" +
			"database service use what they find and need no permission to create anything.",
		Example: `  rosey nats create --nats nats://nats.example:4222 --prefix rosey_default_movienight
  rosey nats create --config bot.yaml --nats-credentials-dir ./admin --nats-jet-stream-max-bytes 134217728`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			loaded, err := flags.Load(status.CLIComponent)
			if err != nil {
				return err
			}
			subjects, err := bus.NewSubjects(loaded.NATS.SubjectPrefix)
			if err != nil {
				return err
			}
			log := slog.New(slog.NewTextHandler(command.ErrOrStderr(), &slog.HandlerOptions{Level: slog.LevelError}))
			conn, err := cli.Dial(command.Context(), loaded.NATS, "rosey cli", subjects.InboxPrefix(bus.AdminRole), log)
			if err != nil {
				return exit.Failed(err)
			}
			defer conn.Close()
			return exit.Failed(createObjects(command.Context(), conn, subjects, loaded.NATS.JetStream, command.OutOrStdout()))
		},
	}
	flags = newConfigFlags(command.Flags(), "", keysAt("nats.url", "nats.subjectPrefix", "nats.credentialsDir",
		"nats.tlsDir", "nats.jetStream.replicas", "nats.jetStream.maxAge", "nats.jetStream.maxBytes",
		"nats.jetStream.maxMessageBytes"))
	return command
}

// createObjects creates what one bot needs in JetStream, one object after the other, and writes what it did.
func createObjects(
	ctx context.Context, conn *bus.Conn, subjects bus.Subjects, limits config.JetStream, out io.Writer,
) error {
	js, err := jetstream.New(conn.NATS())
	if err != nil {
		return fmt.Errorf("preparing for JetStream: %w", err)
	}
	var stream jetstream.Stream
	for _, object := range []struct {
		kind, name string
		create     func(ctx context.Context) (bus.Change, error)
	}{
		{"stream", subjects.StreamName(), func(ctx context.Context) (change bus.Change, err error) {
			stream, change, err = subjects.CreateStream(ctx, js, limits)
			return change, err
		}},
		{"consumer", subjects.ConsumerName(), func(ctx context.Context) (bus.Change, error) {
			return database.CreateConsumer(ctx, stream, subjects)
		}},
		{"bucket", subjects.LockBucket(), func(ctx context.Context) (bus.Change, error) {
			return leader.CreateBucket(ctx, js, subjects, limits.Replicas)
		}},
	} {
		var change bus.Change
		err := conn.Do(ctx, createTimeout, object.name, func(ctx context.Context) (err error) {
			change, err = object.create(ctx)
			return err
		})
		if err != nil {
			return fmt.Errorf("creating the %s %s: %w", object.kind, object.name, withoutJetStream(err))
		}
		if err := printf(out, "%s %s: %s\n", object.kind, object.name, change); err != nil {
			return err
		}
	}
	return nil
}
