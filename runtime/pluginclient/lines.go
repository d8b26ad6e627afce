package pluginclient

import (
	"fmt"
	"strings"
	"unicode/utf16"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/status"
)

// checkLines makes the lines of a plugin printable, or returns what is wrong with them. A line that CyTube might
// execute is refused: it would be executed with the bot's rank.
func checkLines(lines []string) (problem string) {
	if len(lines) > bus.MaxPluginLines {
		return fmt.Sprintf("lines: %d, expected at most %d", len(lines), bus.MaxPluginLines)
	}
	for i := range lines {
		if problem := checkLine(&lines[i]); problem != "" {
			return fmt.Sprintf("lines[%d]: %s", i, problem)
		}
	}
	return ""
}

// checkLine is checkLines for one line.
func checkLine(line *string) (problem string) {
	if bus.ContainsCommand(*line) {
		return `expected a line that does not begin with "/"`
	}
	if size := units(*line); size > bus.MaxPluginLineLength {
		return fmt.Sprintf("%d characters, expected at most %d", size, bus.MaxPluginLineLength)
	}
	*line = strings.TrimSpace(status.Printable(*line))
	if *line == "" || bus.ContainsCommand(*line) {
		return "expected a text"
	}
	return ""
}

// units returns the length of a text in UTF-16 code units, as CyTube counts.
func units(text string) (count int) {
	for _, r := range text {
		count += max(1, utf16.RuneLen(r))
	}
	return count
}
