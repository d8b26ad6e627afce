// Command rosey is a bot for one CyTube channel, and the database service behind it.
//
// `rosey bot` joins the channel and publishes on NATS what happens there; `rosey db` stores that and answers the bot's
// requests; `rosey web` serves pages for the people of the channel; `rosey run` is all of them in one process. The
// other commands are for people: they show and copy what is stored, check a configuration, or talk to a running bot.
//
// This package only puts the packages below runtime together. Each long-running command makes a component, which has
// read the configuration, and runs a workload with it: see component.go. Only this package knows which store is used.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// version is set by the linker: -ldflags "-X main.version=1.2.3".
var version string

func buildVersion() string { return status.BuildVersion(version) }

func main() {
	limitMemory()
	limitProcessors(os.Args[1:])
	ctx, stop := signal.NotifyContext(context.Background(), endSignals()...)
	context.AfterFunc(ctx, func() {
		// A terminal that is closed may send it several times, which must not kill a process that is leaving the channel.
		signal.Ignore(syscall.SIGHUP)
		// For the others the default behavior is restored: the second one kills the process.
		stop()
	})
	context.AfterFunc(ctx, func() { endLate(endTimeout, os.Stderr, os.Exit) })
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// endTimeout is within what Kubernetes gives a pod to end, 30 s, and longer than each part of the process waits for
// others: for events to be stored, for connections to be closed.
const endTimeout = 27 * time.Second

// endLate ends a process that has not ended by itself, whatever it waits for. Kubernetes would kill it without a word.
func endLate(after time.Duration, stderr io.Writer, end func(code int)) {
	backoff.Sleep(context.Background(), after)
	_, _ = fmt.Fprintf(stderr, "rosey: not ended within %v of the signal: events that are not stored stay in the stream; "+
		"without a stream they are lost\n", after)
	end(exit.Failure)
}

// endSignals are the signals that end the process in good order. Under nohup a closed terminal does not.
func endSignals() []os.Signal {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) {
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) int {
	// Commands make what they show of others printable, line by line. This guards what one of them forgets.
	stdout, stderr = status.PrintableWriter(stdout), status.PrintableWriter(stderr)
	root := newRootCommand() //nolint:contextcheck // cobra passes the context to the commands
	root.SetArgs(arguments)
	root.SetOut(stdout)
	root.SetErr(stderr)
	ctx, sendTraces := withCommandTraces(ctx)
	err := root.ExecuteContext(ctx)
	defer sendTraces() // after everything is written
	return exit.Report(stderr, "rosey", err)
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "rosey",
		Short:         "A bot for one CyTube channel and the database service behind it",
		Version:       buildVersion(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(newBotCommand(), newDatabaseCommand(), newWebCommand(), newRunCommand(), newConfigCommand(),
		newImportCommand(), newSayCommand(), newTailCommand(), newStatusCommand(), newTopCommand(), newUserCommand(),
		newNATSCommand(), newJobCommand(), newPluginCommand(), newVersionCommand(), newInitCommand())
	return root
}
