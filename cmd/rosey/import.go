package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/legacy"
	"rosey.dev/rosey/runtime/status"
)

func newImportCommand() *cobra.Command {
	var flags *settings
	var output string
	command := &cobra.Command{
		Use:   "import FILE --channel NAME",
		Short: "Import the SQLite file of a Python Rosey, which is not changed",
		Long: "Import the SQLite file of a Python Rosey, which is not changed.\n" +
			"Neither bot may run during the import. Importing again adds nothing twice.",
		Example: `  rosey import bot_data.db --channel movienight --database rosey-data/rosey.db`,
		Args:    cobra.ExactArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			tool, err := newTool(flags, command)
			if err != nil {
				return err
			}
			summary, err := tool.importFile(command.Context(), arguments[0], command.ErrOrStderr())
			if err != nil {
				return failed(err)
			}
			return writeAs(command.OutOrStdout(), output, summary, summaryText(summary))
		},
	}
	flags = newSettings(command.Flags(), "", keysOf("channel.name", "channel.server", "database.sqlite.path",
		"database.postgres.urlFile", "logLevel"))
	addOutput(command, &output)
	return command
}

func (c *component) importFile(ctx context.Context, file string, notes io.Writer) (summary legacy.Summary, err error) {
	source, err := legacy.Open(ctx, file)
	if err != nil {
		return summary, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if c.config.Database.Postgres == nil {
		if err := c.makeData(""); err != nil {
			return summary, err
		}
	}
	target, err := c.openImporter(ctx)
	if err != nil {
		return summary, err
	}
	defer func() { err = errors.Join(err, target.Close()) }()
	_, _ = fmt.Fprintf(notes, "importing %s, made by a Python Rosey with %s, into channel %s of %s\n",
		file, source.Generation, c.config.Channel.Name, c.databaseName())
	return legacy.Import(ctx, legacy.Options{
		Source: source, Target: target, Channel: c.channel(),
		Progress: func(table string, done, rows int) {
			_, _ = fmt.Fprintf(notes, "%s: %d of %d rows\n", table, done, rows) // the summary repeats it
		},
	})
}

func summaryText(summary legacy.Summary) string {
	var text bytes.Buffer
	table(&text, "Rows", "TABLE\tROWS\tIMPORTED\tEXISTING\tDUPLICATE\tSKIPPED", summary.Tables,
		func(t *legacy.Table) string {
			skipped := 0
			for _, rows := range t.Skipped {
				skipped += rows
			}
			return fmt.Sprintf("%s\t%d\t%d\t%d\t%d\t%d", status.Printable(t.Name), t.Rows, t.Imported, t.Existing,
				t.Duplicates, skipped)
		})
	var why, notes []string
	for _, t := range summary.Tables {
		for _, reason := range slices.Sorted(maps.Keys(t.Skipped)) {
			why = append(why, fmt.Sprintf("%s\t%d\t%s", status.Printable(t.Name), t.Skipped[reason], reason))
		}
		for _, note := range slices.Sorted(maps.Keys(t.Notes)) {
			notes = append(notes, fmt.Sprintf("%s\t%d\t%s", status.Printable(t.Name), t.Notes[note], note))
		}
	}
	as := func(line string) string { return line }
	table(&text, "Skipped", "TABLE\tROWS\tREASON", why, as)
	table(&text, "Corrected", "TABLE\tROWS\tCORRECTION", notes, as)
	return text.String()
}
