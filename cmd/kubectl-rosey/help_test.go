package main

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/exit"
)

// The help of a subcommand had 24 flags of kubectl behind the two of its own.
func TestFlagsOfKubectlDoNotHideThoseOfACommand(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ command, has, lacks string }{
		{"say --help", "--namespace", "--certificate-authority"},
		{"user forget --help", "--yes", "--certificate-authority"},
		{"say --help", "kubectl rosey --help", "--as-uid"},
		{"--help", "--certificate-authority", "The other flags"},
	} {
		code, stdout, stderr := call(t, strings.Fields(test.command)...)
		if code != exit.Clean || !strings.Contains(stdout+stderr, test.has) || strings.Contains(stdout+stderr, test.lacks) {
			t.Errorf("kubectl rosey %s: exit code %d, want %q and not %q:\n%s%s",
				test.command, code, test.has, test.lacks, stdout, stderr)
		}
	}
}

func TestHelpIsInOneForm(t *testing.T) {
	t.Parallel()
	for _, command := range newRootCommand(newApp(streams{})).Commands() {
		checkCommand(t, command)
	}
}

func checkCommand(t *testing.T, command *cobra.Command) {
	t.Helper()
	if command.Short == "" || strings.HasSuffix(command.Short, ".") {
		t.Errorf("%s: %q, expected a phrase without a full stop", command.CommandPath(), command.Short)
	}
	if command.Long != "" && !strings.HasSuffix(command.Long, ".") {
		t.Errorf("%s: %q, expected sentences", command.CommandPath(), command.Long)
	}
	for _, below := range command.Commands() {
		checkCommand(t, below)
	}
}
