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
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

func newDeadCommand(flags *configFlags) *cobra.Command {
	command := &cobra.Command{
		Use:   "dead",
		Short: "List, retry or drop dead letters: messages that could not be stored",
		Long: "List, retry or drop dead letters: messages that could not be stored. A database service that runs is\n" +
			"asked over NATS (--nats, or nats.url of the configuration). If there is none, the database is opened.",
		Args: cobra.NoArgs,
	}
	command.AddCommand(newDeadListCommand(flags),
		newDeadChangeCommand(flags, "retry", "Store dead letters again, and keep those that fail", bus.DeadRetry),
		newDeadChangeCommand(flags, "drop", "Delete dead letters", bus.DeadDrop))
	return command
}

// deadLetters are the dead letters of a running service, or of a database.
type deadLetters interface {
	// each calls do with each dead letter, ordered by ID, until it fails.
	each(ctx context.Context, do func(bus.DeadLetter) error) error
	// change retries or drops dead letters. It continues after a failure, and returns the number of those that were
	// changed and all errors.
	change(ctx context.Context, suffix bus.Suffix, ids []int64) (changed int, err error)
	Close() error
}

// openDeadLetters returns the dead letters of the service that the configuration names, if one answers, and else those
// of the database.
func (c *component) openDeadLetters(command *cobra.Command, write bool) (deadLetters, error) {
	served, unserved := c.dialDeadLetters(command.Context(), command.ErrOrStderr())
	if unserved == nil {
		return served, nil
	}
	open := c.database().openReadOnly
	if write {
		open = c.database().openExisting
	}
	opened, err := open(command.Context())
	if err != nil {
		return nil, failed(errors.Join(err, unserved))
	}
	return storedDeadLetters{opened, c.channel(), c.config.NATS.SubjectPrefix}, nil
}

// servedDeadLetters are those of a running service.
type servedDeadLetters struct {
	conn     *bus.Conn
	requests *bus.Requester
}

var errNoNATS = errors.New("asking a running database service: expected --nats, or nats.url in the configuration")

// dialDeadLetters returns an error if no service answers.
func (c *component) dialDeadLetters(ctx context.Context, stderr io.Writer) (served servedDeadLetters, err error) {
	if c.config.NATS.URL == "" {
		return served, errNoNATS
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	conn, err := cli.Dial(ctx, c.config.NATS, "rosey database tool", c.subjects.InboxPrefix(bus.ServiceRole), log)
	if err != nil {
		return served, fmt.Errorf("asking a running database service: %w", err)
	}
	served = servedDeadLetters{conn, bus.NewRequester(conn, c.subjects)}
	if _, err := served.list(ctx, 0, 1); err != nil {
		conn.Close()
		return served, fmt.Errorf("asking a running database service: %w", err)
	}
	return served, nil
}

// Close closes the connection.
func (s servedDeadLetters) Close() error {
	s.conn.Close()
	return nil
}

func (s servedDeadLetters) list(ctx context.Context, after int64, limit int) (reply bus.DeadListReply, err error) {
	err = s.requests.Request(ctx, bus.DeadList, bus.DeadListRequest{After: after, Limit: limit}, &reply)
	if err == nil && !reply.Success {
		err = fmt.Errorf("the database service cannot answer: %s", status.OneLine(reply.Error, maxReplyError))
	}
	return reply, err
}

// maxReplyError bounds the error in a reply, which whoever answers may have chosen.
const maxReplyError = 300

func (s servedDeadLetters) each(ctx context.Context, do func(bus.DeadLetter) error) error {
	for after := int64(0); ; {
		reply, err := s.list(ctx, after, 0)
		if err != nil {
			return err
		}
		for _, letter := range reply.Letters {
			if letter.ID <= after {
				return errors.New("the database service does not list dead letters in the order of their IDs")
			}
			if err := do(letter); err != nil {
				return err
			}
			after = letter.ID
		}
		if !reply.More || len(reply.Letters) == 0 {
			return nil
		}
	}
}

func (s servedDeadLetters) change(ctx context.Context, suffix bus.Suffix, ids []int64) (changed int, err error) {
	var problems []error
	for some := range slices.Chunk(ids, bus.MaxDeadChangeIDs) {
		var reply bus.DeadChangeReply
		err := s.requests.Request(ctx, suffix, bus.DeadChangeRequest{IDs: some}, &reply)
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

// storedDeadLetters are those of a database. channel and prefix are those of the configuration.
type storedDeadLetters struct {
	store.Store

	channel store.Channel
	prefix  string
}

func (s storedDeadLetters) each(ctx context.Context, do func(bus.DeadLetter) error) error {
	return s.eachStored(ctx, func(letter store.DeadLetter) error { return do(database.NewDeadLetter(letter)) })
}

func (s storedDeadLetters) eachStored(ctx context.Context, do func(store.DeadLetter) error) error {
	const page = 100
	for after := int64(0); ; {
		letters, err := s.DeadLetters(ctx, "", after, page)
		if err != nil {
			return err
		}
		for _, letter := range letters {
			if err := do(letter); err != nil {
				return err
			}
			after = letter.ID
		}
		if len(letters) < page {
			return nil
		}
	}
}

func (s storedDeadLetters) change(ctx context.Context, suffix bus.Suffix, ids []int64) (changed int, err error) {
	chosen := make(map[int64]bool, len(ids))
	for _, id := range ids {
		chosen[id] = true
	}
	var problems []error
	err = s.eachStored(ctx, func(letter store.DeadLetter) error {
		if !chosen[letter.ID] {
			return nil
		}
		delete(chosen, letter.ID)
		if err := s.changeOne(ctx, suffix, letter); err != nil {
			problems = append(problems, err)
			return nil
		}
		changed++
		return nil
	})
	problems = append(problems, err)
	for id := range chosen {
		problems = append(problems, fmt.Errorf("dead letter %d: not found", id))
	}
	return changed, errors.Join(problems...)
}

// changeOne leaves those of other services alone: a message without a channel is about the channel of its own service.
func (s storedDeadLetters) changeOne(ctx context.Context, suffix bus.Suffix, letter store.DeadLetter) error {
	if isForeign(letter.Prefix, s.prefix) {
		return fmt.Errorf("dead letter %d: of the service with the subject prefix %s, whose configuration is needed",
			letter.ID, status.Printable(letter.Prefix))
	}
	if suffix == bus.DeadRetry {
		return database.RetryDeadLetter(ctx, s, s.channel, letter)
	}
	_, err := s.DropDeadLetter(ctx, letter.ID)
	return err
}

// isForeign reports whether a dead letter's prefix is that of another service than own.
func isForeign(prefix, own string) bool { return prefix != "" && prefix != own }

func newDeadListCommand(flags *configFlags) *cobra.Command {
	var output string
	command := &cobra.Command{
		Use:   "list",
		Short: "List dead letters",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			tool, err := newDatabaseTool(flags, command)
			if err != nil {
				return err
			}
			letters, err := tool.openDeadLetters(command, false)
			if err != nil {
				return err
			}
			write := printDeadLetters
			if output == "json" {
				write = writeDeadLetters
			}
			err = write(command.Context(), letters, command.OutOrStdout())
			return failed(errors.Join(err, letters.Close()))
		},
	}
	addOutputFlag(command, &output)
	return command
}

// writeDeadLetters writes a JSON array, one dead letter after the other: all of them could take more memory than the
// container of a service has, in which the command may run.
func writeDeadLetters(ctx context.Context, letters deadLetters, out io.Writer) error {
	separator, end := "[", "[]\n"
	err := letters.each(ctx, func(letter bus.DeadLetter) error {
		var row bytes.Buffer
		if err := writeOutput(&row, "json", letter, ""); err != nil {
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
func printDeadLetters(ctx context.Context, letters deadLetters, out io.Writer) error {
	const shown = 300
	rows := []bus.DeadLetter{}
	err := letters.each(ctx, func(letter bus.DeadLetter) error {
		letter.Payload = cmp.Or(cli.ChatLine(bus.Suffix(letter.Subject), []byte(letter.Payload)), letter.Payload)
		letter.Payload = strings.ToValidUTF8(letter.Payload[:min(len(letter.Payload), shown)], "")
		rows = append(rows, letter)
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
		func(letter bus.DeadLetter) string {
			subject := strings.TrimPrefix(letter.Prefix+"."+letter.Subject, ".")
			return fmt.Sprintf("%d\t%s\t%s\t%d\t%s\t%s", letter.ID, formatMillis(letter.Time),
				status.Printable(subject), letter.Size, status.Printable(letter.Reason),
				status.OneLine(letter.Payload, 60))
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
			letters, err := tool.openDeadLetters(command, true)
			if err != nil {
				return err
			}
			prefix := tool.config.NATS.SubjectPrefix
			changed, err := changeDeadLetters(command.Context(), letters, prefix, suffix, ids)
			return failed(errors.Join(err, letters.Close(), printf(command.OutOrStdout(), "%s: %d done\n", verb, changed)))
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

// changeDeadLetters changes the dead letters with the given IDs, or if there are none, all of the service with the
// prefix.
func changeDeadLetters(
	ctx context.Context, letters deadLetters, prefix string, suffix bus.Suffix, ids []int64,
) (changed int, err error) {
	if len(ids) > 0 {
		slices.Sort(ids)
		return letters.change(ctx, suffix, slices.Compact(ids))
	}
	err = letters.each(ctx, func(letter bus.DeadLetter) error {
		if !isForeign(letter.Prefix, prefix) {
			ids = append(ids, letter.ID)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return letters.change(ctx, suffix, ids)
}
