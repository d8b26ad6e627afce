package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/runtime/exit"
)

func newBackupCommand(app *app) *cobra.Command {
	command := &cobra.Command{
		Use:   "backup NAME [FILE]",
		Short: "Copy the SQLite database to a file of this machine, while the service stores",
		Long: "Copy the SQLite database of a RoseyBot to a new file of this machine, or for - to the standard output,\n" +
			"while the service stores. For PostgreSQL it says which tool does it.",
		Example: "  kubectl rosey backup movienight\n  kubectl rosey backup movienight monday.db\n" +
			"  kubectl rosey backup list movienight",
		Args: func(_ *cobra.Command, arguments []string) error {
			if len(arguments) < 1 || len(arguments) > 2 || arguments[0] == "" {
				return fmt.Errorf("expected the NAME of a RoseyBot, and a FILE if you like, got %d arguments", len(arguments))
			}
			return nil
		},
		ValidArgsFunction: app.completeNames,
		RunE: func(command *cobra.Command, arguments []string) error {
			cluster, bot, err := app.connectTo(command.Context(), arguments[0])
			if err != nil {
				return err
			}
			file := fmt.Sprintf("%s-%s.db", bot.Name, time.Now().UTC().Format("20060102-150405"))
			if len(arguments) > 1 {
				file = arguments[1]
			}
			return app.backUp(command.Context(), cluster, bot, file)
		},
	}
	command.AddCommand(inPod{
		use: "list NAME", short: "List the backups that the service has made, the newest first",
		example: "  kubectl rosey backup list movienight",
		rosey:   []string{"db", "backup", "list"}, place: (*cluster).databasePlace, output: true,
		flags: checkFlag,
	}.command(app))
	return command
}

// needsOwn returns an error if a RoseyBot has no database of its own that a command is for, which says what to do
// instead. For import any is.
func needsOwn(bot *v1alpha1.RoseyBot, verb string) error {
	switch {
	case sharedFrom(bot) != "":
		return exit.Failedf("RoseyBot %s uses the database of RoseyBot %s: `kubectl rosey %s %s`",
			bot.Name, sharedFrom(bot), verb, sharedFrom(bot))
	case bot.Spec.Database == nil || bot.Spec.Database.Postgres == nil || verb == "import":
		return nil
	}
	command, when := "pg_dump --format=custom --exclude-table-data=removals --file=rosey.dump --dbname=service=rosey",
		"beside the running service"
	if verb == "restore" {
		command = "pg_restore --clean --if-exists --single-transaction --dbname=service=rosey rosey.dump"
		when = "while the RoseyBot is suspended"
	}
	secret := bot.Spec.Database.Postgres.URLSecretRef
	return exit.Failedf("the database of RoseyBot %s is PostgreSQL (its URL is in the Secret %s). Run, %s:\n%s\n"+
		"service=rosey is an entry of ~/.pg_service.conf, and ~/.pgpass has the password; see docs/tasks/postgresql.md",
		bot.Name, secret.Name, when, command)
}

// backUp copies the database to a new file. A file of that name appears only when it is complete.
func (a *app) backUp(ctx context.Context, cluster *cluster, bot *v1alpha1.RoseyBot, file string) error {
	if err := needsOwn(bot, "backup"); err != nil {
		return err
	}
	at, err := cluster.databasePlace(ctx, bot)
	if err != nil {
		return err
	}
	line := append([]string{"db", "backup", "-"}, at.flags...)
	if file == "-" {
		out := &checkedSQLite{out: a.raw}
		if err := a.rosey(ctx, cluster, at, out, line); err != nil {
			return err
		}
		return exit.Failed(out.check("what the standard output has got"))
	}
	size, err := writeWhole(file, func(out io.Writer) error { return a.rosey(ctx, cluster, at, out, line) }, checkSQLite)
	if err != nil {
		return asFailure(err)
	}
	_, err = fmt.Fprintf(a.out, "copied the database of %s to %s, %d bytes\n", bot.Name, file, size)
	return exit.Failed(err)
}

// asFailure returns an error with the exit code that it has, or that of a failure.
func asFailure(err error) error {
	if _, ok := errors.AsType[*remoteExit](err); ok {
		return err
	}
	return exit.Failed(err)
}

// writeWhole writes a file that appears under its name only when it is complete and check finds nothing wrong. Until
// then it is FILE.part. No file that is there already is replaced or removed.
func writeWhole(file string, write func(io.Writer) error, check func(path string) error) (size int64, err error) {
	if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
		return 0, existsAlready(file)
	}
	partial := file + ".part"
	size, err = writeNew(partial, write)
	if errors.Is(err, os.ErrExist) {
		return 0, fmt.Errorf("%s is there, of a backup that still runs or was cut off; if none runs, remove it", partial)
	}
	if err != nil {
		return 0, err
	}
	if err = check(partial); err == nil {
		err = renameToNew(partial, file)
	}
	if err != nil {
		return 0, errors.Join(err, removeOwn(partial))
	}
	return size, nil
}

func existsAlready(file string) error {
	return fmt.Errorf("%s exists already, and is not overwritten", file)
}

// renameToNew gives a file another name, unless something has that name: a rename would replace it, a link does not.
func renameToNew(from, to string) error {
	err := os.Link(from, to)
	if err == nil {
		return removeOwn(from)
	}
	if _, found := os.Lstat(to); !errors.Is(found, os.ErrNotExist) {
		return existsAlready(to)
	}
	if err := os.Rename(from, to); err != nil { // the file system may have no links
		return fmt.Errorf("naming the file: %w", err)
	}
	return nil
}

// removeOwn removes a file that this command has made.
func removeOwn(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing %s: %w", path, err)
	}
	return nil
}

// writeNew writes a file for its owner alone, and returns its size in bytes. If it fails, it leaves no file, but for
// one that was there already.
func writeNew(path string, write func(io.Writer) error) (size int64, err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, fmt.Errorf("creating the file: %w", err)
	}
	err = write(file)
	if err == nil {
		err = file.Sync()
	}
	info, statErr := file.Stat()
	if err = errors.Join(err, statErr, file.Close()); err != nil {
		return 0, errors.Join(err, removeOwn(path))
	}
	return info.Size(), nil
}
