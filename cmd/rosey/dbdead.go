package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/cli"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/output"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

func newDeadCommand(flags *configFlags) *cobra.Command {
	command := &cobra.Command{
		Use:   "dead",
		Short: "List, retry or drop dead letters: messages that could not be stored",
		Long: "List, retry or drop dead letters: messages that could not be stored. A database service that runs is\n" +
			"asked over NATS (--nats, or nats.url of the configuration). If there is none, the database is opened.\n" +
			"They are those of the configured subject prefix, and those without one.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return errors.New("dead: expected list, retry or drop") },
	}
	command.AddCommand(newDeadListCommand(flags),
		newDeadChangeCommand(flags, "retry", "Store dead letters again, and keep those that fail", bus.DeadRetry),
		newDeadChangeCommand(flags, "drop", "Delete dead letters", bus.DeadDrop))
	return command
}

// deadLetters are those of a running service, or of a database that this process opens.
type deadLetters struct {
	requests interface {
		Request(ctx context.Context, suffix bus.Suffix, in, out any) error
	}
	close func() error
}

// openDeadLetters returns the dead letters of the service that the configuration names, if one answers, and else those
// of its subject prefix in the database.
func (c *component) openDeadLetters(command *cobra.Command, write bool) (deadLetters, error) {
	served, unserved := c.dialDeadLetters(command.Context(), command.ErrOrStderr())
	if unserved == nil {
		return served, nil
	}
	open := c.database().openReadOnly
	if write {
		open = c.database().openExisting
	}
	stored, err := c.openDatabase(command.Context(), open)
	if err != nil {
		return deadLetters{}, exit.Failed(errors.Join(err, unserved))
	}
	return stored, nil
}

var errNoNATS = errors.New("asking a running database service: expected --nats, or nats.url in the configuration")

// dialDeadLetters returns an error if no service answers.
func (c *component) dialDeadLetters(ctx context.Context, stderr io.Writer) (served deadLetters, err error) {
	if c.config.NATS.URL == "" {
		return served, errNoNATS
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	conn, err := cli.Dial(ctx, c.config.NATS, "rosey database tool", c.subjects.InboxPrefix(bus.ServiceRole), log)
	if err != nil {
		return served, fmt.Errorf("asking a running database service: %w", err)
	}
	served = deadLetters{bus.NewRequester(conn, c.subjects), func() error { conn.Close(); return nil }}
	if _, err := served.list(ctx, 0, 1); err != nil {
		conn.Close()
		return served, fmt.Errorf("asking a running database service: %w", err)
	}
	return served, nil
}

// commandStore is a store without store.ChannelOwners: a command does not make the service of its configuration the
// owner of a channel.
type commandStore struct{ store.Store }

// openDatabase opens the database as the service of the configuration does.
func (c *component) openDatabase(
	ctx context.Context, open func(context.Context) (store.Importer, error),
) (deadLetters, error) {
	options := c.engineOptions()
	options.Listed, options.Service, options.Log = c.listedChannels(), c.serviceIdentity(), slog.New(slog.DiscardHandler)
	options.Open = func(ctx context.Context) (store.Store, error) {
		opened, err := open(ctx)
		if err != nil {
			return nil, err
		}
		return commandStore{opened}, nil
	}
	direct := database.NewDirect(database.DirectOptions{EngineOptions: options})
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- direct.RunOnDemand(running) }()
	stored := deadLetters{direct, func() error { stop(); return <-ended }}
	// A request would not wait until an old schema is brought up to date.
	if err := direct.Store(ctx, nil); err != nil {
		return deadLetters{}, errors.Join(err, stored.close())
	}
	return stored, nil
}

func (d deadLetters) list(ctx context.Context, after int64, limit int) (reply bus.DeadListReply, err error) {
	err = d.requests.Request(ctx, bus.DeadList, bus.DeadListRequest{After: after, Limit: limit}, &reply)
	if err == nil && !reply.Success {
		err = fmt.Errorf("the database service cannot answer: %s", status.OneLine(reply.Error, maxReplyError))
	}
	return reply, err
}

// maxReplyError bounds the error in a reply, which whoever answers may have chosen.
const maxReplyError = 300

// each calls do with each dead letter, ordered by ID, until it fails.
func (d deadLetters) each(ctx context.Context, do func(bus.DeadLetter) error) error {
	for after := int64(0); ; {
		reply, err := d.list(ctx, after, 0)
		if err != nil {
			return err
		}
		for _, deadLetter := range reply.DeadLetters {
			if deadLetter.ID <= after {
				return errors.New("the database service does not list dead letters in the order of their IDs")
			}
			if err := do(deadLetter); err != nil {
				return err
			}
			after = deadLetter.ID
		}
		if !reply.More || len(reply.DeadLetters) == 0 {
			return nil
		}
	}
}

// changeStep is how many dead letters one request changes: on a slow disk, bus.MaxDeadChangeIDs could take longer than
// bus.RequestTimeout.
const changeStep = 5

// change retries or drops dead letters. It continues after a failure, and returns the number of those that were changed
// and all errors.
func (d deadLetters) change(ctx context.Context, suffix bus.Suffix, ids []int64) (changed int, err error) {
	var problems []error
	for some := range slices.Chunk(ids, changeStep) {
		var reply bus.DeadChangeReply
		err := d.requests.Request(ctx, suffix, bus.DeadChangeRequest{IDs: some}, &reply)
		if err != nil {
			return changed, errors.Join(append(problems, err)...)
		}
		changed += len(reply.Changed)
		for _, failure := range reply.Failed {
			problems = append(problems, errors.New(status.OneLine(failure.Error, maxReplyError)))
		}
		if reply.Error != "" {
			problems = append(problems, fmt.Errorf("the database service: %s", status.OneLine(reply.Error, maxReplyError)))
			return changed, errors.Join(problems...)
		}
	}
	return changed, errors.Join(problems...)
}

func newDeadListCommand(flags *configFlags) *cobra.Command {
	var format output.Format
	command := &cobra.Command{
		Use:   "list",
		Short: "List dead letters",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			tool, err := newDatabaseTool(flags, command)
			if err != nil {
				return err
			}
			stored, err := tool.openDeadLetters(command, false)
			if err != nil {
				return err
			}
			write := printDeadLetters
			if format.IsDocument() {
				write = writeDeadLetters
			}
			err = write(command.Context(), stored, command.OutOrStdout())
			return exit.Failed(errors.Join(err, stored.close()))
		},
	}
	addOutputFlag(command, &format)
	return command
}

// writeDeadLetters writes a JSON array, one dead letter after the other: all of them could take more memory than the
// container of a service has, in which the command may run.
func writeDeadLetters(ctx context.Context, all deadLetters, out io.Writer) error {
	separator, end := "[", "[]\n"
	err := all.each(ctx, func(deadLetter bus.DeadLetter) error {
		var row bytes.Buffer
		if err := writeOutput(&row, output.JSON, deadLetter, ""); err != nil {
			return err
		}
		text := separator + "\n  " + strings.ReplaceAll(strings.TrimSpace(row.String()), "\n", "\n  ")
		separator, end = ",", "\n]\n"
		return printf(out, "%s", text)
	})
	if err != nil {
		return err
	}
	return printf(out, "%s", end)
}

// printDeadLetters writes a table with the beginning of each payload. A line of chat is shown as its text.
func printDeadLetters(ctx context.Context, all deadLetters, out io.Writer) error {
	const shown = 300
	rows := []bus.DeadLetter{}
	err := all.each(ctx, func(deadLetter bus.DeadLetter) error {
		text := cmp.Or(cli.ChatLine(bus.Suffix(deadLetter.Subject), []byte(deadLetter.Payload)), deadLetter.Payload)
		deadLetter.Payload = strings.ToValidUTF8(text[:min(len(text), shown)], "")
		rows = append(rows, deadLetter)
		return nil
	})
	if err != nil {
		return err
	}
	return printf(out, "%s", deadLettersText(rows))
}

func deadLettersText(rows []bus.DeadLetter) string {
	if len(rows) == 0 {
		return "no dead letters\n"
	}
	var text bytes.Buffer
	writeTable(&text, "Dead letters", "ID\tTIME (UTC)\tSUBJECT\tBYTES\tREASON\tPAYLOAD", rows,
		func(deadLetter bus.DeadLetter) string {
			subject := strings.TrimPrefix(deadLetter.Prefix+"."+deadLetter.Subject, ".")
			return fmt.Sprintf("%d\t%s\t%s\t%d\t%s\t%s", deadLetter.ID, formatMillis(deadLetter.Time),
				status.Printable(subject), deadLetter.Size, status.Printable(deadLetter.Reason),
				status.OneLine(deadLetter.Payload, 60))
		})
	return text.String()
}

// newDeadChangeCommand returns a command that retries or drops the chosen dead letters.
func newDeadChangeCommand(flags *configFlags, verb, short string, suffix bus.Suffix) *cobra.Command {
	var all bool
	command := &cobra.Command{
		Use: verb + " (ID... | --all)", Short: short,
		RunE: func(command *cobra.Command, arguments []string) error {
			ids, err := parseDeadLetterIDs(arguments, all)
			if err != nil {
				return err
			}
			tool, err := newDatabaseTool(flags, command)
			if err != nil {
				return err
			}
			stored, err := tool.openDeadLetters(command, true)
			if err != nil {
				return err
			}
			changed, err := changeDeadLetters(command.Context(), stored, suffix, ids)
			return exit.Failed(errors.Join(err, stored.close(), printf(command.OutOrStdout(), "%s: %d done\n", verb, changed)))
		},
	}
	command.Flags().BoolVar(&all, "all", false, "All dead letters of the configured service")
	return command
}

// parseDeadLetterIDs returns the IDs, or none for all dead letters.
func parseDeadLetterIDs(arguments []string, all bool) (ids []int64, err error) {
	if all == (len(arguments) > 0) {
		return nil, errors.New("expected IDs as `rosey db dead list` shows them, or --all")
	}
	for _, argument := range arguments {
		id, err := strconv.ParseInt(argument, 10, 64)
		if err != nil || id < 1 {
			return nil, fmt.Errorf("ID %q: expected a number as `rosey db dead list` shows it", argument)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// changeDeadLetters changes the dead letters with the given IDs, or if there are none, all.
func changeDeadLetters(
	ctx context.Context, all deadLetters, suffix bus.Suffix, ids []int64,
) (changed int, err error) {
	if len(ids) > 0 {
		slices.Sort(ids)
		return all.change(ctx, suffix, slices.Compact(ids))
	}
	err = all.each(ctx, func(deadLetter bus.DeadLetter) error {
		ids = append(ids, deadLetter.ID)
		return nil
	})
	if err != nil {
		return 0, err
	}
	return all.change(ctx, suffix, ids)
}
