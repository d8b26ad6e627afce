package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/exit"
)

// supportOptions are the flags of support.
type supportOptions struct {
	since, timeout time.Duration
	pluginLogs     bool
}

func newSupportCommand(app *app) *cobra.Command {
	var options supportOptions
	command := &cobra.Command{
		Use:   "support NAME [FILE]",
		Short: "Write one archive with all that helps to find out what is wrong, without secrets",
		Long: "Write one archive, FILE or NAME-support-TIME.tar.gz, with all that helps to find out what is wrong with a\n" +
			"RoseyBot: spec and status, events, Deployments, pods and other objects, logs, metrics, what each process says,\n" +
			"and versions. The FILE - is standard output. What cannot be read is listed in problems.txt.\n\n" +
			"No Secret is read. Values of environment variables, settings of plugins and passwords in addresses are left\n" +
			"out, here and wherever else they appear. Names of users and what plugins of others write are text of others:\n" +
			"look at the archive before you give it away. The logs of plugins with an image, and of containers that others\n" +
			"have added, are left out unless --plugin-logs is given, since nobody knows what they write.",
		Example: "  kubectl rosey support movienight",
		Args:    cobra.RangeArgs(1, 2), ValidArgsFunction: completeFileAfterName(app),
		RunE: func(command *cobra.Command, arguments []string) error {
			cluster, bot, err := app.connectTo(command.Context(), arguments[0])
			if err != nil {
				return err
			}
			name := fmt.Sprintf("%s-support-%s", bot.Name, time.Now().UTC().Format("20060102-150405"))
			file := name + ".tar.gz"
			if len(arguments) > 1 {
				file = arguments[1]
			}
			return app.support(command.Context(), cluster, bot, name, file, options)
		},
	}
	flags := command.Flags()
	flags.DurationVar(&options.since, "since", 24*time.Hour, "How old lines of logs may be")
	flags.DurationVar(&options.timeout, "timeout", 2*time.Minute, "How long reading may take")
	flags.BoolVar(&options.pluginLogs, "plugin-logs", false, "With the logs of containers that are not Rosey's")
	return command
}

// support writes the archive. Only a file that cannot be written is a failure: the archive of a cluster that is ill has
// what can be read.
func (a *app) support(
	ctx context.Context, cluster *cluster, bot *v1alpha1.RoseyBot, name, file string, options supportOptions,
) error {
	if _, err := os.Lstat(file); err == nil && file != standardOutput {
		return exit.Failedf("%s exists already, and is not overwritten", file)
	}
	reading, stop := context.WithTimeout(ctx, options.timeout)
	defer stop()
	collected := newCollector(cluster, bot, options)
	for _, part := range supportParts {
		_, _ = fmt.Fprintf(a.err, "reading %s\n", part.what)
		if err := part.collect(collected, reading); err != nil {
			collected.problem(part.what, err)
		}
	}
	if ctx.Err() != nil {
		return exit.Failedf("interrupted: no archive was written")
	}
	return a.writeSupport(collected, name, file)
}

// standardOutput is the name of standard output in the place of a file.
const standardOutput = "-"

// writeSupport writes the archive, and says what it does not have.
func (a *app) writeSupport(collected *collector, name, file string) error {
	var size int64
	var err error
	if write := collected.archive(name).write; file == standardOutput {
		err = write(a.raw)
	} else {
		size, err = writeNew(file, write)
	}
	if err != nil {
		return exit.Failedf("writing the archive: %w", err)
	}
	for _, problem := range collected.problems {
		_, _ = fmt.Fprintf(a.err, "missing: %s\n", problem)
	}
	if file == standardOutput {
		return nil
	}
	_, err = fmt.Fprintf(a.out, "wrote %s, %d bytes; look at it before you give it away\n", file, size)
	return exit.Failed(err)
}
