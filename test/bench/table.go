package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
)

// row is a figure of a case.
type row struct {
	name, figure string
	value        float64
	unit         string
	// against is the figure of the same case with which this one is compared. Empty: none.
	against string
}

// table is printed as Markdown, one for each case, to be copied into docs/performance.md.
type table struct{ rows []row }

func (t *table) write(out io.Writer) {
	name := ""
	for _, r := range t.rows {
		if r.name != name {
			name = r.name
			_, _ = fmt.Fprintf(out, "\n%s:\n\n| figure | value | ratio |\n|---|---|---|\n", name) // to a terminal
		}
		_, _ = fmt.Fprintf(out, "| %s | %s %s | %s |\n", r.figure, number(r.value), r.unit, t.ratio(r))
	}
}

// find returns the index of a figure of a case, or -1.
func (t *table) find(name, figure string) int {
	return slices.IndexFunc(t.rows, func(other row) bool { return other.name == name && other.figure == figure })
}

func (t *table) ratio(r row) string {
	at := t.find(r.name, r.against)
	if r.against == "" || at < 0 || t.rows[at].value == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f × %s", r.value/t.rows[at].value, r.against)
}

// number formats a value with three significant digits.
func number(value float64) string {
	digits := 2
	switch {
	case value >= 100:
		digits = 0
	case value >= 10:
		digits = 1
	}
	return strconv.FormatFloat(value, 'f', digits, 64)
}

// median returns the median of repeated measurements.
func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
