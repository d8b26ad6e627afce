package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"time"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// A command that needs the database for itself runs in a Job while the RoseyBot is suspended, as
// docs/tasks/database.md does it by hand.

// exclusive is such a command.
type exclusive struct {
	// verb is its name here and in the name of the Job.
	verb string
	// what says what it does, for whoever confirms it.
	what string
	// rosey is the command in the Job, without the configuration.
	rosey []string
	// input is the file of this machine that is its standard input, or "".
	input string
	// timeout is how long it may take.
	timeout time.Duration
	yes     bool
}

// exclusiveRights are what such a command needs.
var exclusiveRights = []right{
	getBots, to("patch", v1alpha1.GroupVersion.Group, botResource), to("get", "apps", "deployments"),
	to("create", "batch", "jobs"), to("get", "batch", "jobs"), to("delete", "batch", "jobs"),
	listPods, readLogs, to("create", "", "pods/attach"),
}

func newRestoreCommand(app *app) *cobra.Command {
	run := exclusive{verb: "restore"}
	var made string
	command := &cobra.Command{
		Use:   "restore NAME (FILE | --made BACKUP)",
		Short: "Replace the SQLite database with a backup, after you have confirmed it",
		Long: "Replace the SQLite database of a RoseyBot with a backup: a FILE of this machine, or one that the service\n" +
			"has made, as backup list shows it. The RoseyBot is suspended meanwhile. The whole backup is checked before\n" +
			"anything changes, and the replaced database stays beside the new one.",
		Example: "  kubectl rosey restore movienight monday.db\n" +
			"  kubectl rosey restore movienight --made /var/lib/rosey/backups/FILE.db",
		Args: cobra.MaximumNArgs(2), ValidArgsFunction: completeFileAfterName(app),
		RunE: func(command *cobra.Command, arguments []string) error {
			if len(arguments) == 0 || (len(arguments) == 2) == (made != "") {
				return errors.New("expected the NAME of a RoseyBot, and a FILE or --made")
			}
			if made != "" && !path.IsAbs(made) {
				return fmt.Errorf("--made: %q, expected a path as `kubectl rosey backup list NAME` shows it", made)
			}
			source := made
			if made == "" {
				source, run.input = "-", arguments[1]
			}
			run.rosey = []string{"db", "restore", source}
			run.what = "replaced with " + status.Printable(made+run.input)
			return app.runExclusive(command.Context(), arguments[0], run)
		},
	}
	command.Flags().StringVar(&made, "made", "", "Path of a backup that the service has made, as backup list shows it")
	run.addFlags(command)
	return command
}

func newImportCommand(app *app) *cobra.Command {
	run := exclusive{verb: "import"}
	var older bool
	command := &cobra.Command{
		Use:   "import NAME FILE",
		Short: "Add the database of a Python Rosey or a CytubeBot, after you have confirmed it",
		Long: "Add the rows of the database of a Python Rosey or a CytubeBot, a FILE of this machine, to the database of\n" +
			"a RoseyBot, which is suspended meanwhile.",
		Example: "  kubectl rosey import movienight bot_data.db --drop-older",
		Args:    cobra.ExactArgs(2), ValidArgsFunction: completeFileAfterName(app),
		RunE: func(command *cobra.Command, arguments []string) error {
			run.rosey, run.input = []string{"import", "-"}, arguments[1]
			if older {
				run.rosey = append(run.rosey, "--drop-older")
			}
			run.what = "added to: the rows of " + status.Printable(run.input)
			return app.runExclusive(command.Context(), arguments[0], run)
		},
	}
	command.Flags().BoolVar(&older, "drop-older", false, "Leave out rows that the retention would remove")
	run.addFlags(command)
	return command
}

func (e *exclusive) addFlags(command *cobra.Command) {
	command.Flags().BoolVarP(&e.yes, "yes", "y", false, "Do it without asking")
	command.Flags().DurationVar(&e.timeout, "timeout", 30*time.Minute, "How long the command in the Job may take")
}

// completeFileAfterName completes the name of a RoseyBot, and then that of a file.
func completeFileAfterName(app *app) cobra.CompletionFunc {
	return func(command *cobra.Command, arguments []string, text string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(arguments) > 0 {
			return nil, cobra.ShellCompDirectiveDefault
		}
		return app.completeNames(command, arguments, text)
	}
}

// databaseDeployment returns the name of the Deployment whose pods have the database open, and their configuration.
func databaseDeployment(bot *v1alpha1.RoseyBot) (name, file string) {
	if bot.Spec.Mode == v1alpha1.ModeDirect {
		return bot.Name + "-bot", config.BotFile
	}
	return bot.Name + "-db", config.DatabaseFile
}

// runExclusive checks everything that can be checked before the RoseyBot is suspended, asks, and runs the command.
func (a *app) runExclusive(ctx context.Context, name string, run exclusive) error {
	cluster, bot, err := a.connectTo(ctx, name)
	if err != nil {
		return err
	}
	if err := needsOwn(bot, run.verb); err != nil {
		return err
	}
	if run.input != "" {
		if err := checkInput(run.input); err != nil {
			return exit.Failed(err)
		}
	}
	if missing, err := cluster.missing(ctx, cluster.namespace, exclusiveRights); err != nil {
		return exit.Failed(err)
	} else if len(missing) > 0 {
		return &rightsMissing{namespace: cluster.namespace, rights: missing}
	}
	work := databaseJob{app: a, cluster: cluster, bot: bot, exclusive: run}
	if err := work.prepare(ctx); err != nil {
		return err
	}
	question := fmt.Sprintf("RoseyBot %s is suspended, and its database is %s.", bot.Name, run.what)
	if err := a.confirm(ctx, question, run.yes); err != nil {
		return err
	}
	return work.run(ctx)
}

// openInput opens the file that the command in the Job reads.
func (e *exclusive) openInput() (*os.File, error) {
	file, err := os.Open(e.input)
	if err != nil {
		return nil, exit.Failedf("reading the database file: %w", err)
	}
	return file, nil
}
