package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// newNATSCommand returns the commands for whoever administers a NATS server.
func newNATSCommand() *cobra.Command {
	command := &cobra.Command{
		Use:   "nats",
		Short: "Prepare a NATS server for bots",
		Args:  cobra.NoArgs,
		RunE:  func(*cobra.Command, []string) error { return errors.New("nats: expected create") },
	}
	command.AddCommand(newNATSCreateCommand())
	return command
}
