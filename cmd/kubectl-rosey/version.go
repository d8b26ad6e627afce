package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

func buildVersion() string { return status.BuildVersion(version) }

func newVersionCommand(app *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Show the version of this plugin; status shows those of the processes",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(app.out, "kubectl-rosey %s\n", buildVersion())
			return exit.Failed(err)
		},
	}
}
