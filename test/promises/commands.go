package promises

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// CommandLines returns a line for each command and for each of its flags, of its own and those that it hands down.
func CommandLines(command *cobra.Command) []string {
	lines := []string{command.CommandPath()}
	command.LocalFlags().VisitAll(func(flag *pflag.Flag) {
		line := command.CommandPath() + " --" + flag.Name
		if flag.Shorthand != "" {
			line += " -" + flag.Shorthand
		}
		lines = append(lines, line+" "+flag.Value.Type())
	})
	for _, child := range command.Commands() {
		lines = append(lines, CommandLines(child)...)
	}
	return lines
}
