package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/legacy"
	"rosey.dev/rosey/runtime/output"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

func newImportCommand() *cobra.Command {
	var flags *configFlags
	var format output.Format
	var dropOlder bool
	command := &cobra.Command{
		Use:   "import (FILE | -) --channel NAME",
		Short: "Import the SQLite file of a Python Rosey or a CytubeBot",
		Long: "Import the SQLite file of a Python Rosey (usually bot_data.db), or of nuclearace/CytubeBot or its fork\n" +
			"airforce270/CytubeBot (cytubebot.db). The tables of the file say which of them wrote it. With - it is read\n" +
			"from the standard input. The file is not changed. Neither bot may run during the import. Importing the\n" +
			"same file again changes nothing. The output says what was imported, and what was left out and why.\n\n" +
			"A CytubeBot stored chat, users and the number of connections. It did not store when something was queued or\n" +
			"played: the output has the number of times, and no play is imported.\n\n" +
			"Rows that are older than database.retention would be removed a day after the bot starts. If there are\n" +
			"any, nothing is imported unless the retention is raised or --drop-older leaves them out.",
		Example: "  rosey import bot_data.db --channel movienight --database rosey-data/rosey.db\n" +
			"  rosey import cytubebot.db --channel movienight --database rosey-data/rosey.db --drop-older",
		Args: cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			tool, err := newDatabaseTool(flags, command)
			if err != nil {
				return err
			}
			dir, err := tool.inputDir(arguments[0])
			if err != nil {
				return exit.Failed(err)
			}
			return exit.Failed(withInput(command.Context(), arguments[0], dir, command.InOrStdin(), func(file string) error {
				summary, err := tool.importFile(command.Context(), file, dropOlder, command.ErrOrStderr())
				if err != nil {
					return err
				}
				return writeOutput(command.OutOrStdout(), format, summary, importText(summary))
			}))
		},
	}
	flags = newConfigFlags(command.Flags(), "", keysAt("channel.name", "channel.server", "database.sqlite.path",
		"database.postgres.urlFile", "database.retention.chat", "database.retention.userCounts",
		"database.retention.people", "database.limits.channelRows", "database.limits.channelBytes",
		"database.limits.people", "logLevel"))
	command.Flags().BoolVar(&dropOlder, "drop-older", false, "Leave out rows that are older than database.retention")
	addOutputFlag(command, &format)
	return command
}

// inputDir returns the directory for a file from the standard input: that of an SQLite database, which has room.
func (c *component) inputDir(file string) (string, error) {
	if file != "-" || c.database().postgres {
		return "", nil
	}
	return filepath.Dir(c.database().path), c.makeDataDir("")
}

func (c *component) importFile(
	ctx context.Context, file string, dropOlder bool, progress io.Writer,
) (summary legacy.Summary, err error) {
	source, err := legacy.Open(ctx, file)
	if err != nil {
		return summary, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if err := source.CheckChannel(ctx, c.channel()); err != nil {
		return summary, fmt.Errorf("nothing was imported: %w", err)
	}
	retained, err := source.Retained(ctx, c.channel(), c.retention(), time.Now())
	if err != nil {
		return summary, err
	}
	if err := olderRows(retained); err != nil && !dropOlder {
		return summary, fmt.Errorf("importing %s: %w", file, err)
	}
	if err := overLimits(retained, c.config.Database.Limits); err != nil {
		return summary, fmt.Errorf("importing %s: %w", file, err)
	}
	if !c.database().postgres {
		if err := c.makeDataDir(""); err != nil {
			return summary, err
		}
	}
	target, err := c.database().open(ctx)
	if err != nil {
		return summary, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	_, _ = fmt.Fprintf(progress, "importing %s, made by %s, into channel %s of %s\n",
		file, source.Program, c.config.Channel.Name, c.database())
	return legacy.Import(ctx, legacy.Options{
		Source: source, Target: target, Channel: c.channel(), Retained: retained,
		Limits: c.config.Database.Limits,
		Progress: func(table string, done, rows int) {
			_, _ = fmt.Fprintf(progress, "%s: %d of %d rows\n", table, done, rows) // the summary repeats it
		},
	})
}

// olderRows returns an error if there are rows that maintenance would remove.
func olderRows(retained []*legacy.Retained) error {
	var tables []error
	for _, table := range retained {
		if table.Older > 0 {
			tables = append(tables, fmt.Errorf("%s: %d of %d rows are older than %s, which is %s; the oldest is of %s",
				table.Table, table.Older, table.Rows, table.Key, table.Kept, table.OldestAt.Format(time.DateOnly)))
		}
	}
	if tables == nil {
		return nil
	}
	return fmt.Errorf("nothing was imported, because rows would be removed a day after the bot starts:\n%w\n"+
		"to keep them, set these keys to forever or to a longer time, here and in the configuration of the bot and the "+
		"database service; to leave them out, use --drop-older", errors.Join(tables...))
}

// overLimits returns an error if so much would be imported that the database service would then refuse to store what
// happens in the channel.
func overLimits(retained []*legacy.Retained, limits config.Limits) error {
	var rows, size, people int64
	for _, table := range retained {
		kept := int64(table.Rows - table.Older)
		if table.Key == store.PrunePeople.RetentionKey() {
			people += kept
			continue
		}
		rows, size = rows+kept, size+table.Bytes
	}
	var exceeded []error
	for _, one := range []struct {
		key           string
		needed, limit int64
	}{
		{"channelRows", rows, int64(limits.ChannelRows)},
		{"channelBytes", size, int64(limits.ChannelBytes)},
		{"people", people, int64(limits.People)},
	} {
		if one.needed > one.limit {
			exceeded = append(exceeded, fmt.Errorf("database.limits.%s is %d, and the file has about %d to be kept",
				one.key, one.limit, one.needed))
		}
	}
	if exceeded == nil {
		return nil
	}
	return fmt.Errorf("nothing was imported, because the database service would not store any more:\n%w\n"+
		"increase these keys, here and in the configuration of the bot and the database service, or keep less by "+
		"database.retention and --drop-older", errors.Join(exceeded...))
}

// formatRemoval returns the day on which rows are removed.
func formatRemoval(at time.Time) string {
	if at.IsZero() {
		return "never"
	}
	return at.Format(time.DateOnly)
}

// maxShownID and maxShownTitle are the numbers of characters that are shown of an item.
const (
	maxShownID    = 40
	maxShownTitle = 80
)

func importText(summary legacy.Summary) string {
	var text bytes.Buffer
	var skipped, corrected []string
	writeTable(&text, "Rows", "TABLE\tROWS\tIMPORTED\tEXISTING\tDUPLICATE\tSKIPPED", summary.Tables,
		func(t *legacy.Table) string {
			name, rows := status.Printable(t.Name), 0
			for _, reason := range slices.Sorted(maps.Keys(t.Skipped)) {
				rows += t.Skipped[reason]
				skipped = append(skipped, fmt.Sprintf("%s\t%d\t%s", name, t.Skipped[reason], reason))
			}
			for _, note := range slices.Sorted(maps.Keys(t.Notes)) {
				corrected = append(corrected, fmt.Sprintf("%s\t%d\t%s", name, t.Notes[note], note))
			}
			return fmt.Sprintf("%s\t%d\t%d\t%d\t%d\t%d", name, t.Rows, t.Imported, t.Existing, t.Duplicates, rows)
		})
	writeTable(&text, "Kept", "TABLE\tRETENTION\tREMOVED FROM\tUNTIL", summary.Retained, func(r *legacy.Retained) string {
		from, until := formatRemoval(r.RemovedFrom), formatRemoval(r.RemovedUntil)
		return fmt.Sprintf("%s\t%s: %s\t%s\t%s", r.Table, r.Key, r.Kept, from, until)
	})
	text.WriteString("\nThe bot and the database service remove rows by database.retention of their own configuration.\n")
	asRow := func(row string) string { return row }
	writeTable(&text, "Skipped", "TABLE\tROWS\tREASON", skipped, asRow)
	writeTable(&text, "Corrected", "TABLE\tROWS\tCORRECTION", corrected, asRow)
	if len(summary.MostQueued) > 0 {
		writeTable(&text, "Most often queued, without times", "TIMES\tTYPE\tID\tTITLE", summary.MostQueued,
			func(q legacy.Queued) string {
				return fmt.Sprintf("%d\t%s\t%s\t%s", q.Times, status.OneLine(q.Type, maxShownID),
					status.OneLine(q.ID, maxShownID), status.OneLine(q.Title, maxShownTitle))
			})
	}
	if len(summary.Remarks) > 0 {
		text.WriteString("\nWhat the file does not have\n")
	}
	for _, remark := range summary.Remarks {
		text.WriteString("  " + remark + "\n")
	}
	return text.String()
}
