package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

func newDeadCommand(flags *configFlags) *cobra.Command {
	command := &cobra.Command{
		Use:   "dead",
		Short: "List, retry or drop dead letters: messages that could not be stored",
		Args:  cobra.NoArgs,
	}
	command.AddCommand(newDeadListCommand(flags),
		newDeadChangeCommand(flags, "retry", "Store dead letters again, and keep those that fail",
			database.RetryDeadLetter),
		newDeadChangeCommand(flags, "drop", "Delete dead letters",
			func(ctx context.Context, s store.Store, _ store.Channel, letter store.DeadLetter) error {
				_, err := s.DropDeadLetter(ctx, letter.ID)
				return err
			}))
	return command
}

// deadLetterRow is a dead letter in JSON.
type deadLetterRow struct {
	ID      int64  `json:"id"`
	Time    int64  `json:"time"`             // of arrival, in milliseconds since 1970 UTC
	Prefix  string `json:"prefix,omitempty"` // of the service that received it
	Subject string `json:"subject"`
	Reason  string `json:"reason"`
	Size    int    `json:"size"` // of the whole payload, in bytes
	// Payload is the part of the payload that was stored. Bytes that are not UTF-8 are replaced by U+FFFD.
	Payload string `json:"payload"`
}

func newDeadListCommand(flags *configFlags) *cobra.Command {
	var output string
	command := &cobra.Command{
		Use:   "list",
		Short: "List dead letters, also while a service uses the database",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			_, err := readDatabase(flags, command,
				func(ctx context.Context, s store.Store, _ store.Channel) (struct{}, error) {
					if output == "json" {
						return struct{}{}, writeDeadLetters(ctx, s, command.OutOrStdout())
					}
					return struct{}{}, printDeadLetters(ctx, s, command.OutOrStdout())
				})
			return err
		},
	}
	addOutputFlag(command, &output)
	return command
}

func newDeadLetterRow(letter store.DeadLetter) deadLetterRow {
	return deadLetterRow{
		letter.ID, letter.At.UnixMilli(), letter.Prefix, letter.Subject, letter.Reason, letter.Size,
		store.CleanText(string(letter.Payload)),
	}
}

// writeDeadLetters writes a JSON array, one dead letter after the other: all of them could take more memory than the
// container of a service has, in which the command may run.
func writeDeadLetters(ctx context.Context, s store.Store, out io.Writer) error {
	separator, end := "[", "[]\n"
	err := eachDeadLetter(ctx, s, func(letter store.DeadLetter) error {
		var row bytes.Buffer
		if err := writeOutput(&row, "json", newDeadLetterRow(letter), ""); err != nil {
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

// printDeadLetters writes a table with the beginning of each payload.
func printDeadLetters(ctx context.Context, s store.Store, out io.Writer) error {
	const shown = 300
	rows := []deadLetterRow{}
	err := eachDeadLetter(ctx, s, func(letter store.DeadLetter) error {
		letter.Payload = letter.Payload[:min(len(letter.Payload), shown)]
		rows = append(rows, newDeadLetterRow(letter))
		return nil
	})
	if err != nil {
		return err
	}
	return printf(out, "%s", deadLettersText(rows))
}

func deadLettersText(rows []deadLetterRow) string {
	if len(rows) == 0 {
		return "no dead letters\n"
	}
	var text bytes.Buffer
	writeTable(&text, "Dead letters", "ID\tTIME (UTC)\tSUBJECT\tBYTES\tREASON\tPAYLOAD", rows,
		func(letter deadLetterRow) string {
			subject := strings.TrimPrefix(letter.Prefix+"."+letter.Subject, ".")
			return fmt.Sprintf("%d\t%s\t%s\t%d\t%s\t%s", letter.ID, formatMillis(letter.Time),
				status.Printable(subject), letter.Size, status.Printable(letter.Reason),
				status.OneLine(letter.Payload, 60))
		})
	return text.String()
}

// deadLetterChange changes one dead letter. channel is the configured one.
type deadLetterChange func(ctx context.Context, s store.Store, channel store.Channel, letter store.DeadLetter) error

// newDeadChangeCommand returns a command that applies change to each of the chosen dead letters.
func newDeadChangeCommand(flags *configFlags, verb, short string, change deadLetterChange) *cobra.Command {
	var all bool
	command := &cobra.Command{
		Use: verb + " (ID... | --all)", Short: short + " (SQLite: stop the service first)",
		RunE: func(command *cobra.Command, arguments []string) error {
			ids, err := parseDeadLetterIDs(arguments, all)
			if err != nil {
				return err
			}
			tool, err := newDatabaseTool(flags, command)
			if err != nil {
				return err
			}
			changed, err := tool.changeDeadLetters(command.Context(), ids, change)
			return failed(errors.Join(err, printf(command.OutOrStdout(), "%s: %d done\n", verb, changed)))
		},
	}
	command.Flags().BoolVar(&all, "all", false, "All dead letters of the configured service")
	return command
}

// parseDeadLetterIDs returns the set of IDs, which is empty for all dead letters.
func parseDeadLetterIDs(arguments []string, all bool) (map[int64]bool, error) {
	if all == (len(arguments) > 0) {
		return nil, errors.New("expected IDs as `rosey db dead list` shows them, or --all")
	}
	ids := map[int64]bool{}
	for _, argument := range arguments {
		id, err := strconv.ParseInt(argument, 10, 64)
		if err != nil || id < 1 {
			return nil, fmt.Errorf("ID %q: expected a number as `rosey db dead list` shows it", argument)
		}
		ids[id] = true
	}
	return ids, nil
}

// changeDeadLetters applies change to the dead letters with the given IDs, or to all if there are none. It leaves those
// of other services alone: a message without a channel is about the channel of its own service. It continues after a
// failure, and returns the number of those that were changed and all errors.
func (c *component) changeDeadLetters(
	ctx context.Context, ids map[int64]bool, change deadLetterChange,
) (changed int, err error) {
	opened, err := c.database().openExisting(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	all := len(ids) == 0
	var problems []error
	err = eachDeadLetter(ctx, opened, func(letter store.DeadLetter) error {
		foreign := letter.Prefix != "" && letter.Prefix != c.config.NATS.SubjectPrefix
		if all && foreign || !all && !ids[letter.ID] {
			return nil
		}
		delete(ids, letter.ID)
		if foreign {
			problems = append(problems, fmt.Errorf("dead letter %d: of the service with the subject prefix %s, whose "+
				"configuration is needed", letter.ID, status.Printable(letter.Prefix)))
			return nil
		}
		if err := change(ctx, opened, c.channel(), letter); err != nil {
			problems = append(problems, err)
			return nil
		}
		changed++
		return nil
	})
	problems = append(problems, err)
	for id := range ids {
		problems = append(problems, fmt.Errorf("dead letter %d: not found", id))
	}
	return changed, errors.Join(problems...)
}

// eachDeadLetter calls do with each dead letter, ordered by ID, until it fails.
func eachDeadLetter(ctx context.Context, s store.Store, do func(letter store.DeadLetter) error) error {
	const page = 100
	for after := int64(0); ; {
		letters, err := s.DeadLetters(ctx, after, page)
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
