package main

import (
	"strings"
	"testing"
	"unicode"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rosey.dev/rosey/runtime/exit"
)

// allCommands calls visit with each command below one.
func allCommands(root *cobra.Command, visit func(*cobra.Command)) {
	for _, command := range root.Commands() {
		visit(command)
		allCommands(command, visit)
	}
}

// A script that misspells a subcommand must not go on: `rosey db dead dorp` printed the help and succeeded.
func TestAMisspelledSubcommandIsNoSuccess(t *testing.T) {
	t.Parallel()
	allCommands(newRootCommand(), func(command *cobra.Command) {
		if !command.HasSubCommands() || command.Name() == "completion" {
			return
		}
		arguments := append(strings.Fields(command.CommandPath())[1:], "dorp", "another")
		if code, _, stderr := call(t, arguments...); code != exit.Usage || stderr == "" {
			t.Errorf("rosey %s: exit code %d, %q; want %d and why", strings.Join(arguments, " "), code, stderr, exit.Usage)
		}
	})
}

// All commands are described in one form. pflag takes a word in backquotes for the name of a flag's value, which
// `--stdin`, a flag without a value, had.
func TestHelpIsInOneForm(t *testing.T) {
	t.Parallel()
	allCommands(newRootCommand(), func(command *cobra.Command) {
		if !isPhrase(command.Short) {
			t.Errorf("%s: %q, expected a phrase that begins with a capital letter and has no full stop",
				command.CommandPath(), command.Short)
		}
		if command.Long != "" && !strings.HasSuffix(command.Long, ".") {
			t.Errorf("%s: %q, expected sentences", command.CommandPath(), command.Long)
		}
		command.Flags().VisitAll(func(flag *pflag.Flag) {
			if value, _ := pflag.UnquoteUsage(flag); flag.Value.Type() == "bool" && value != "" {
				t.Errorf("%s --%s: a flag without a value, shown with %q", command.CommandPath(), flag.Name, value)
			}
			if !isPhrase(flag.Usage) {
				t.Errorf("%s --%s: %q, expected a phrase that begins with a capital letter and has no full stop",
					command.CommandPath(), flag.Name, flag.Usage)
			}
		})
	})
}

// isPhrase reports whether a text begins with a capital letter, or the name of something, and has no full stop.
func isPhrase(text string) bool {
	return text != "" && !strings.HasSuffix(text, ".") && !unicode.IsLower([]rune(strings.TrimPrefix(text, "`"))[0])
}
