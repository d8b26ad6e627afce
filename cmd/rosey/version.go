package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/exit"
)

// newVersionCommand is there for those who do not know --version, which prints the same.
func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version of this program",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(command.OutOrStdout(), "rosey version %s\n", buildVersion())
			return exit.Failed(err)
		},
	}
}
