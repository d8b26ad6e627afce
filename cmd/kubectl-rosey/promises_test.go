package main

import (
	"testing"

	"rosey.dev/rosey/test/promises"
)

// Scripts name commands and flags.
func TestCommandsAndFlagsStay(t *testing.T) {
	t.Parallel()
	promises.Compare(t, "kubectl", promises.CommandLines(newRootCommand(newApp(streams{}))), *update)
}
