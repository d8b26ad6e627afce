package main

import (
	"bytes"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/output"
)

// addOutputFlag adds the flag --output, for writeOutput.
func addOutputFlag(command *cobra.Command, format *output.Format) {
	output.AddFlag(command, format, output.JSON)
}

// writeOutput writes the result of a command in the format of --output. Its errors are failures.
func writeOutput(out io.Writer, format output.Format, content any, text string) error {
	if !format.IsDocument() {
		return exit.Failed(printf(out, "%s", text))
	}
	return exit.Failed(output.Write(out, format, content))
}

func printf(out io.Writer, format string, a ...any) error {
	if _, err := fmt.Fprintf(out, format, a...); err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}

// writeTable writes rows in aligned columns under a title. header and the result of row have a tab between two columns.
func writeTable[T any](out *bytes.Buffer, title, header string, rows []T, row func(T) string) {
	fmt.Fprintf(out, "\n%s\n", title)
	if len(rows) == 0 {
		fmt.Fprintln(out, "  none")
		return
	}
	columns := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0) // writing to memory cannot fail
	_, _ = fmt.Fprintln(columns, "  "+header)
	for _, each := range rows {
		_, _ = fmt.Fprintln(columns, "  "+row(each))
	}
	_ = columns.Flush()
}

// toMillis returns a time as it is in JSON: in milliseconds since 1970 UTC, and 0 for the zero time.
func toMillis(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}

// formatMillis returns a time of toMillis in UTC for people, and a dash for 0.
func formatMillis(milliseconds int64) string {
	if milliseconds == 0 {
		return "-"
	}
	return time.UnixMilli(milliseconds).UTC().Format("2006-01-02 15:04:05")
}

func formatSeconds(seconds int64) string { return formatMillis(seconds * 1000) }
