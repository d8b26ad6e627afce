// Command rosey is a bot for one CyTube channel: `rosey bot` sits in the channel, `rosey db` keeps what
// it tells, and `rosey run` is both in one process.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitClean   = 0
	exitFailure = 1 // it was asked rightly and could not do it
	exitUsage   = 2 // wrong command line or configuration: asking the same again is of no use
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the next one kills at once, for whoever does not want to wait.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) int {
	root := newRootCommand() //nolint:contextcheck // cobra hands the context to the commands
	root.SetArgs(arguments)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitClean
	}
	_, _ = fmt.Fprintln(stderr, "rosey:", err) // there is nowhere left to complain
	if _, ok := errors.AsType[*failure](err); ok {
		return exitFailure
	}
	return exitUsage
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "rosey",
		Short:         "A bot for one CyTube channel and the database service behind it",
		Version:       buildVersion(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newBotCommand(), newDatabaseCommand(), newRunCommand(), newConfigCommand(), newImportCommand(),
		newSayCommand(), newTailCommand(), newStatusCommand(), newTopCommand(), newUserCommand())
	return root
}

// failure is an error that has nothing to do with how the command was called.
type failure struct{ cause error }

func (f *failure) Error() string { return f.cause.Error() }
func (f *failure) Unwrap() error { return f.cause }

// failed marks an error as a failure. Nil stays nil.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return &failure{cause: err}
}
