package main

import (
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rosey.dev/rosey/test/promises"
)

// Scripts name commands and flags.
func TestCommandsAndFlagsStay(t *testing.T) {
	promises.Compare(t, "commands", commandLines(newRootCommand()), *update)
}

// commandLines returns a line for each command and for each of its flags. The flags of configuration keys have a list
// of their own.
func commandLines(command *cobra.Command) []string {
	lines := []string{command.CommandPath()}
	command.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		line := command.CommandPath() + " --" + flag.Name
		if flag.Shorthand != "" {
			line += " -" + flag.Shorthand
		}
		lines = append(lines, line+" "+flag.Value.Type())
	})
	for _, child := range command.Commands() {
		lines = append(lines, commandLines(child)...)
	}
	return lines
}
