package main

import (
	"testing"

	"rosey.dev/rosey/test/promises"
)

// Scripts name commands and flags.
func TestCommandsAndFlagsStay(t *testing.T) {
	promises.Compare(t, "commands", promises.CommandLines(newRootCommand()), *update)
}
