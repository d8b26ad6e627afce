package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/natsauth"
	"rosey.dev/rosey/runtime/platform"
)

// issueFlags are the flags of `rosey nats issue`.
type issueFlags struct {
	file, namespace, target, dir, rotate string
	expires, renewBefore                 time.Duration
	remove                               []string
	commands, people, allowRemoval       bool
	maxControlLine                       int
}

func newNATSIssueCommand() *cobra.Command {
	var flags issueFlags
	command := &cobra.Command{
		Use:   "issue -f FILE --for server.conf|jwt --dir DIR",
		Short: "Issue a NATS account and users for each RoseyBot of a file",
		Args:  cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			return flags.run(command)
		},
	}
	set := command.Flags()
	set.StringVarP(&flags.file, "file", "f", "", "File with RoseyBots in YAML, or - for the standard input")
	set.StringVarP(&flags.namespace, "namespace", "n", "default", "Namespace of RoseyBots that have none in the file")
	set.StringVar(&flags.target, "for", "", "What to issue: server.conf (accounts and users with passwords) or "+
		"jwt (accounts and users of an operator)")
	set.StringVar(&flags.dir, "dir", "", "Directory for what is issued, with secrets in it; created if it does not exist")
	set.DurationVar(&flags.expires, "expires", 0, "How long a user's JWT is valid, for example 2160h; 0: forever")
	set.DurationVar(&flags.renewBefore, "renew-before", 0,
		"How long before its end a JWT is issued again (default a third of --expires)")
	set.StringVar(&flags.rotate, "rotate", "", "NAMESPACE/NAME of a RoseyBot whose users get new credentials")
	set.StringSliceVar(&flags.remove, "remove", nil,
		"NAMESPACE/NAME of RoseyBots that are gone, whose accounts, users and Secrets are removed; not in the file")
	set.BoolVar(&flags.commands, "commands", false,
		"Let the users of command line and web page have bots execute commands, lines that begin with \"/\"")
	set.BoolVar(&flags.people, "people", false,
		"Let the users of the command line export and remove what is stored about a person")
	set.BoolVar(&flags.allowRemoval, "allow-removal", false,
		"Have the server accept requests to remove the streams of RoseyBots with manual provisioning")
	set.IntVar(&flags.maxControlLine, "max-control-line", natsauth.DefaultMaxControlLine,
		"Bytes of a line of the protocol that the server accepts: max_control_line of its configuration; for jwt")
	command.Long = "Issue a NATS account and users for each RoseyBot of a file, with no more permissions than\n" +
		"each needs. Run it again with the same directory for what is new, has changed or is due: the rest\n" +
		"stays as it is, also that of RoseyBots which are not in the file, until --remove names them.\n" +
		"The directory holds all secrets, in files for their owner alone."
	command.Example = `  kubectl get roseybots -A -o yaml | rosey nats issue -f - --for jwt --dir issued --expires 2160h
  rosey nats issue -f roseybots.yaml --for server.conf --dir issued --rotate default/movienight
  rosey nats issue -f roseybots.yaml --for server.conf --dir issued --remove default/lounge`
	return command
}

// Bounds of --max-control-line: no user's JWT is shorter, and with more a client that has not logged in could have the
// server keep as much.
const minControlLine, maxControlLine = 1 << 10, 1 << 20

func (f *issueFlags) check() error {
	switch target := natsauth.Target(f.target); {
	case f.file == "":
		return errors.New("--file: expected a file with RoseyBots, or - for the standard input")
	case target != natsauth.ServerConfTarget && target != natsauth.JWTTarget:
		return fmt.Errorf("--for: %q, expected server.conf or jwt", f.target)
	case f.dir == "":
		return errors.New("--dir: expected a directory for what is issued")
	case f.expires < 0 || f.renewBefore < 0:
		return errors.New("--expires, --renew-before: expected a positive duration, such as 2160h")
	case f.expires > 0 && target != natsauth.JWTTarget:
		return errors.New("--expires: expected --for jwt, because passwords do not expire")
	case f.maxControlLine != min(max(f.maxControlLine, minControlLine), maxControlLine):
		return fmt.Errorf("--max-control-line: %d, expected %d to %d", f.maxControlLine, minControlLine, maxControlLine)
	case f.renewBefore > 0 && f.renewBefore >= f.expires:
		return errors.New("--renew-before: expected less than --expires")
	}
	return nil
}

func (f *issueFlags) run(command *cobra.Command) error {
	if err := f.check(); err != nil {
		return err
	}
	data, err := f.read(command.InOrStdin())
	if err != nil {
		return exit.Failed(err)
	}
	bots, err := natsauth.ParseBots(f.file, data, f.namespace)
	if err != nil {
		return err
	}
	unlock, err := f.lock()
	if err != nil {
		return exit.Failed(err)
	}
	defer unlock()
	issued, err := f.issue(bots)
	if err != nil {
		return exit.Failed(err)
	}
	return exit.Failed(printf(command.OutOrStdout(), "%s", f.report(issued)))
}

func (f *issueFlags) issue(bots []natsauth.Bot) (natsauth.Issued, error) {
	before, err := natsauth.ReadState(f.dir, natsauth.Target(f.target))
	if err != nil {
		return natsauth.Issued{}, err
	}
	renewBefore := f.renewBefore
	if renewBefore == 0 {
		renewBefore = f.expires / 3
	}
	state, issued, err := natsauth.Issue(before, bots, natsauth.IssueOptions{
		Expires: f.expires, RenewBefore: renewBefore, Rotate: f.rotate, Remove: f.remove, Commands: f.commands,
		People: f.people, AllowRemoval: f.allowRemoval, MaxControlLine: f.maxControlLine, Now: time.Now(),
	})
	if err != nil {
		return natsauth.Issued{}, err
	}
	return issued, state.Write(f.dir, before)
}

// maxBotsFile bounds what is read: a thousand RoseyBots with their status are a few MiB.
const maxBotsFile = 64 << 20

func (f *issueFlags) read(stdin io.Reader) ([]byte, error) {
	data, err := readBounded(f.file, stdin, maxBotsFile)
	if err != nil {
		return nil, fmt.Errorf("reading RoseyBots: %w", err)
	}
	return data, nil
}

// lock creates the directory and waits until no other process issues into it: what the first has issued would be lost.
func (f *issueFlags) lock() (unlock func(), err error) {
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the directory: %w", err)
	}
	info, err := os.Stat(f.dir)
	if err != nil {
		return nil, fmt.Errorf("reading the directory: %w", err)
	}
	owner, _, known := platform.Owner(info)
	if known && info.Mode().Perm()&0o022 != 0 {
		return nil, fmt.Errorf("--dir: others may write in %s, expected a directory for its owner alone: chmod 700 %s",
			f.dir, f.dir)
	}
	if known && owner != os.Geteuid() {
		return nil, fmt.Errorf("--dir: %s belongs to another user, expected a directory of your own", f.dir)
	}
	file, err := os.OpenFile(filepath.Join(f.dir, "lock"), os.O_CREATE|os.O_RDWR|platform.OpenUntrusted, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the directory: %w", err)
	}
	if err := platform.Lock(file); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("locking the directory: %w", err)
	}
	return func() { _ = file.Close() }, nil // which unlocks it
}

// report says what was issued and what to do with it, without secrets.
func (f *issueFlags) report(issued natsauth.Issued) string {
	var text bytes.Buffer
	for _, change := range issued.Changes {
		fmt.Fprintln(&text, change)
	}
	if len(issued.Changes) == 0 {
		fmt.Fprintln(&text, "nothing is new, has changed or is due")
	}
	for _, unset := range issued.Unset {
		fmt.Fprintln(&text, unset)
	}
	if natsauth.Target(f.target) == natsauth.JWTTarget {
		fmt.Fprintf(&text, "server: include %s, and reload\n", filepath.Join(f.dir, natsauth.OperatorFile))
	} else {
		fmt.Fprintf(&text, "server: include %s in accounts and %s in the system account, and reload\n",
			filepath.Join(f.dir, natsauth.AccountsFile), filepath.Join(f.dir, natsauth.SystemFile))
	}
	fmt.Fprintf(&text, "Secrets: kubectl apply -R -f %s\n", filepath.Join(f.dir, natsauth.SecretsDir))
	fmt.Fprintf(&text, "command line: --nats-credentials-dir %s\n",
		filepath.Join(f.dir, natsauth.UsersDir, "NAMESPACE", "NAME", "cli"))
	return text.String()
}
