package plugin

import (
	"strings"
	"testing"
)

// Each character of a run of punctuation was removed on its own, after all the rest of the run was read again: a long
// answer of a web API took seconds.
func TestARunOfPunctuationIsNotReadForEachOfItsCharacters(t *testing.T) {
	t.Parallel()
	for run, want := range map[string]int{
		strings.Repeat("$", 1599) + "!":  1600,
		strings.Repeat("$", 1599) + "x":  1599,
		strings.Repeat("$", 1599) + "1":  0,
		"$/" + strings.Repeat("$", 1598): 2,
		// With a call for each character, the stack would be too small for this.
		strings.Repeat("$", 1<<24) + "!": 1<<24 + 1,
	} {
		if got := commandPrefix(run); got != want {
			t.Errorf("%.5s… of %d bytes: %d bytes make it look like a command, want %d", run, len(run), got, want)
		}
	}
}
