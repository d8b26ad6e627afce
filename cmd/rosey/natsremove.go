package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/exit"
)

// removeFlags are the flags of `rosey nats remove`.
type removeFlags struct {
	config     *configFlags
	yes, force bool
}

func newNATSRemoveCommand() *cobra.Command {
	var flags removeFlags
	command := &cobra.Command{
		Use:   "remove PREFIX...",
		Short: "Remove the stream, the consumer and the bucket of bots that are gone",
		Long: "Remove the stream with its consumer and the bucket of the leader election of the bots with these subject\n" +
			"prefixes. What is in use, or holds events that no database has stored, stays unless --force is given. It\n" +
			"needs the rights of whoever administers the account.",
		Example: `  rosey nats remove rosey_default_movienight --nats nats://nats.example:4222
  rosey nats remove rosey_default_a rosey_default_b --nats nats://nats.example:4222 --yes`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(command *cobra.Command, prefixes []string) error {
			account, err := openAccount(command, flags.config, prefixes[0])
			if err != nil {
				return err
			}
			defer account.conn.Close()
			objects, err := account.find(command.Context(), prefixes)
			if err != nil {
				return exit.Failed(err)
			}
			if err := flags.confirm(objects, command.InOrStdin(), command.ErrOrStderr()); err != nil {
				return exit.Failed(err)
			}
			return exit.Failed(account.remove(command.Context(), objects, command.OutOrStdout()))
		},
	}
	flags.config = newConfigFlags(command.Flags(), "", keysAt("nats.url", "nats.credentialsDir", "nats.tlsDir"))
	command.Flags().BoolVarP(&flags.yes, "yes", "y", false, "Do not ask before anything is removed")
	command.Flags().BoolVar(&flags.force, "force", false,
		"Remove also what is in use, and events that no database has stored")
	return command
}

// find returns what bots have. A prefix without anything is an error: it may be misspelled.
func (a *natsAccount) find(ctx context.Context, prefixes []string) (all []natsObject, err error) {
	for _, prefix := range prefixes {
		objects, err := a.list(ctx, prefix)
		if err != nil {
			return nil, err
		}
		if len(objects) == 0 {
			return nil, fmt.Errorf("no stream and no bucket of a bot with the prefix %q; see rosey nats list", prefix)
		}
		all = append(all, objects...)
	}
	return all, nil
}

// confirm returns an error unless the objects may be removed.
func (f *removeFlags) confirm(objects []natsObject, in io.Reader, out io.Writer) error {
	var reasons []string
	for _, object := range objects {
		name := object.Kind + " " + object.Name
		if object.InUse != "" {
			reasons = append(reasons, name+" is in use: "+object.InUse)
		}
		if object.Waiting > 0 {
			reasons = append(reasons, fmt.Sprintf("%s: %d events are not stored in a database", name, object.Waiting))
		}
	}
	if len(reasons) > 0 && !f.force {
		return fmt.Errorf("nothing was removed: %s; stop what uses it, or repeat with --force", strings.Join(reasons, "; "))
	}
	if f.yes {
		return nil
	}
	if err := printf(out, "%s\nRemove all of them? yes or no: ", objectsText(objects)); err != nil {
		return err
	}
	answer, err := bufio.NewReader(io.LimitReader(in, 100)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if strings.TrimSpace(answer) != "yes" {
		return errors.New("nothing was removed: expected the answer yes, or --yes")
	}
	return nil
}

// remove removes streams, with the consumers in them, and buckets, and writes what it did.
func (a *natsAccount) remove(ctx context.Context, objects []natsObject, out io.Writer) error {
	for _, object := range objects {
		name := object.stream
		if object.Kind == "consumer" {
			continue // it goes with the stream
		}
		attempt := fmt.Sprintf("removing the %s %s", object.Kind, object.Name)
		err := a.request(ctx, name, attempt, func(ctx context.Context) error { return a.js.DeleteStream(ctx, name) })
		if err != nil {
			return err
		}
		if err := printf(out, "%s %s: removed\n", object.Kind, object.Name); err != nil {
			return err
		}
	}
	return nil
}
