package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

func newDeadCommand(flags *settings) *cobra.Command {
	command := &cobra.Command{
		Use:   "dead",
		Short: "Messages that could not be stored: see them, try again, drop them",
		Args:  cobra.NoArgs,
	}
	command.AddCommand(newDeadListCommand(flags),
		newDeadChangeCommand(flags, "retry", "Store them now, with SQLite while no service runs; what fails again stays",
			func(ctx context.Context, c *component, s store.Store, letter store.DeadLetter) error {
				return database.RetryDeadLetter(ctx, s, c.channel(), letter)
			}),
		newDeadChangeCommand(flags, "drop", "Remove them for good, with SQLite while no service runs",
			func(ctx context.Context, _ *component, s store.Store, letter store.DeadLetter) error {
				_, err := s.DropDeadLetter(ctx, letter.ID)
				return err
			}))
	return command
}

// shownLetter is a dead letter as JSON.
type shownLetter struct {
	ID      int64  `json:"id"`
	Time    int64  `json:"time"` // of arrival, milliseconds
	Subject string `json:"subject"`
	Reason  string `json:"reason"`
	Size    int    `json:"size"` // bytes of the whole payload
	// Payload is what was kept of it. What is not UTF-8 is shown as U+FFFD.
	Payload string `json:"payload"`
}

func newDeadListCommand(flags *settings) *cobra.Command {
	var output string
	command := &cobra.Command{
		Use:   "list",
		Short: "Show the messages that could not be stored, beside a running service or without one",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			tool, err := newTool(flags, command)
			if err != nil {
				return err
			}
			opened, err := tool.openToLook(command.Context())
			if err != nil {
				return failed(err)
			}
			letters, err := allDeadLetters(command.Context(), opened)
			if err = errors.Join(err, opened.Close()); err != nil {
				return failed(err)
			}
			return failed(writeLetters(command.OutOrStdout(), output, letters))
		},
	}
	addOutput(command, &output)
	return command
}

// newDeadChangeCommand makes a command that does something to each of the letters it is told.
func newDeadChangeCommand(
	flags *settings, verb, short string,
	do func(ctx context.Context, c *component, s store.Store, letter store.DeadLetter) error,
) *cobra.Command {
	var everything bool
	command := &cobra.Command{
		Use: verb + " (ID... | --all)", Short: short,
		RunE: func(command *cobra.Command, arguments []string) error {
			wanted, err := letterIDs(arguments, everything)
			if err != nil {
				return err
			}
			tool, err := newTool(flags, command)
			if err != nil {
				return err
			}
			work := func(ctx context.Context, s store.Store, letter store.DeadLetter) error {
				return do(ctx, tool, s, letter)
			}
			done, err := tool.changeLetters(command.Context(), wanted, work)
			said := printf(command.OutOrStdout(), "%s: %d done\n", verb, done)
			return failed(errors.Join(err, said))
		},
	}
	command.Flags().BoolVar(&everything, "all", false, "all there are")
	return command
}

// letterIDs answers nil for all.
func letterIDs(arguments []string, everything bool) (map[int64]bool, error) {
	if everything == (len(arguments) > 0) {
		return nil, errors.New("expected ids as `rosey db dead list` shows them, or --all")
	}
	if everything {
		return nil, nil //nolint:nilnil // no choice is all of them
	}
	wanted := map[int64]bool{}
	for _, argument := range arguments {
		id, err := strconv.ParseInt(argument, 10, 64)
		if err != nil || id < 1 {
			return nil, fmt.Errorf("id %q: expected a number as `rosey db dead list` shows it", argument)
		}
		wanted[id] = true
	}
	return wanted, nil
}

// changeLetters goes on behind a letter that fails, and answers how many did not.
func (c *component) changeLetters(
	ctx context.Context, wanted map[int64]bool,
	do func(ctx context.Context, s store.Store, letter store.DeadLetter) error,
) (done int, err error) {
	opened, err := c.openThere(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, opened.Close()) }()
	letters, err := allDeadLetters(ctx, opened)
	if err != nil {
		return 0, err
	}
	var problems []error
	for _, letter := range letters {
		if wanted != nil && !wanted[letter.ID] {
			continue
		}
		delete(wanted, letter.ID)
		if err := do(ctx, opened, letter); err != nil {
			problems = append(problems, err)
			continue
		}
		done++
	}
	for id := range wanted {
		problems = append(problems, fmt.Errorf("dead letter %d: there is none of that id", id))
	}
	return done, errors.Join(problems...)
}

// allDeadLetters are bounded by store.MaxDeadLetters.
func allDeadLetters(ctx context.Context, s store.Store) (letters []store.DeadLetter, err error) {
	const page = 100
	for after := int64(0); ; after = letters[len(letters)-1].ID {
		some, err := s.DeadLetters(ctx, after, page)
		if err != nil {
			return nil, err
		}
		letters = append(letters, some...)
		if len(some) < page {
			return letters, nil
		}
	}
}

func writeLetters(out io.Writer, output string, letters []store.DeadLetter) error {
	if output == "json" {
		show := []shownLetter{}
		for _, letter := range letters {
			show = append(show, shownLetter{
				letter.ID, letter.At.UnixMilli(), letter.Subject, letter.Reason, letter.Size,
				store.CleanText(string(letter.Payload)),
			})
		}
		return writeIndented(out, show)
	}
	if len(letters) == 0 {
		return printf(out, "no message failed to be stored\n")
	}
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(columns, "ID\tTIME (UTC)\tSUBJECT\tBYTES\tREASON\tPAYLOAD") // Flush tells
	for _, letter := range letters {
		_, _ = fmt.Fprintf(columns, "%d\t%s\t%s\t%d\t%s\t%s\n", letter.ID, showTime(letter.At.UnixMilli()),
			status.Printable(letter.Subject), letter.Size, status.Printable(letter.Reason),
			status.OneLine(string(letter.Payload), 60))
	}
	if err := columns.Flush(); err != nil {
		return fmt.Errorf("writing: %w", err)
	}
	return nil
}
