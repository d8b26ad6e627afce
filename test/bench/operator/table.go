package main

import (
	"fmt"
	"io"
	"slices"
	"time"
)

// table is printed as Markdown, to be copied into docs/performance.md.
type table struct {
	title string
	rows  [][2]string
}

func (t *table) report(figure, format string, values ...any) {
	t.rows = append(t.rows, [2]string{figure, fmt.Sprintf(format, values...)})
}

func (t *table) write(out io.Writer) {
	_, _ = fmt.Fprintf(out, "| %s | value |\n|---|---|\n", t.title) // to a terminal
	for _, row := range t.rows {
		_, _ = fmt.Fprintf(out, "| %s | %s |\n", row[0], row[1])
	}
}

// medianAndLongest describes repeated measurements.
func medianAndLongest(durations []time.Duration) string {
	return fmt.Sprintf("%.2f s, at most %.2f s", median(durations).Seconds(), slices.Max(durations).Seconds())
}

func median(durations []time.Duration) time.Duration {
	return slices.Sorted(slices.Values(durations))[len(durations)/2]
}
