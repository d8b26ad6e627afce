package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
	"k8s.io/apimachinery/pkg/util/duration"

	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/output"
)

// writeDocument writes content as JSON or YAML.
func (a *app) writeDocument(format output.Format, content any) error {
	return exit.Failed(output.Write(a.out, format, content))
}

// isColorTerminal reports whether a file is a terminal whose user has not asked for text without colors.
func isColorTerminal(file *os.File) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd()))
}

// Colors of a terminal.
const (
	red    = "31"
	green  = "32"
	yellow = "33"
	dim    = "2"
)

// page is text for people in the making. What it gets of others must be printable already, since it adds the colors.
type page struct {
	text   strings.Builder
	colors bool
}

// writef adds text.
func (p *page) writef(format string, arguments ...any) {
	_, _ = fmt.Fprintf(&p.text, format, arguments...) // writing to memory cannot fail
}

// paint returns a text in a color, where there are colors.
func (p *page) paint(color, text string) string {
	if !p.colors || color == "" || text == "" {
		return text
	}
	return "\x1b[" + color + "m" + text + "\x1b[0m"
}

// table writes rows in aligned columns, each with an indent. paint returns the color of a cell, or "".
func (p *page) table(indent string, rows [][]string, paint func(row, column int) string) {
	var widths []int
	for _, row := range rows {
		for column, cell := range row {
			if column == len(widths) {
				widths = append(widths, 0)
			}
			widths[column] = max(widths[column], utf8.RuneCountInString(cell))
		}
	}
	for at, row := range rows {
		p.writef("%s", indent)
		for column, cell := range row {
			padding := ""
			if column < len(row)-1 {
				padding = strings.Repeat(" ", widths[column]-utf8.RuneCountInString(cell)+2)
			}
			p.writef("%s%s", p.paint(paint(at, column), cell), padding)
		}
		p.writef("\n")
	}
}

// writeTo writes the page. With colors it goes to raw, because out would take them for control characters.
func (p *page) writeTo(app *app) error {
	to := app.out
	if p.colors {
		to = app.raw
	}
	if _, err := io.WriteString(to, p.text.String()); err != nil {
		return exit.Failedf("writing the output: %w", err)
	}
	return nil
}

// age returns how long ago a time was, as kubectl shows it.
func age(at time.Time) string {
	if at.IsZero() {
		return "-"
	}
	return duration.HumanDuration(time.Since(at))
}
