package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

func newInitCommand() *cobra.Command {
	s := &setup{}
	command := &cobra.Command{
		Use:   "init",
		Short: "Ask for a channel and a login, try them, and write a configuration file for rosey run",
		Long: "Ask for a channel, an account and what to keep, try to join the channel, and write a configuration file\n" +
			"for rosey run, with the passwords and tokens in files for their owner alone. Each question has a flag.\n" +
			"Without a terminal nothing is asked: what has no default has to be given by its flag.\n\n" +
			"If the server refuses the login, or something else fails, nothing is written. Joining with an account\n" +
			"disconnects whoever is in the channel with it, such as a bot that is running.",
		Example: `  rosey init
  rosey init --dir /etc/rosey --data /var/lib/rosey
  rosey init --channel https://cytu.be/r/movienight --username Rosey --password-file - <password`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			s.terminal = openTerminal(command.InOrStdin(), command.ErrOrStderr())
			s.in, s.out = command.InOrStdin(), command.OutOrStdout()
			return s.run(command.Context())
		},
	}
	s.addFlags(command.Flags())
	return command
}

// setup asks for a configuration and writes it.
type setup struct {
	flags    *pflag.FlagSet
	terminal *terminal // nil: nobody can be asked
	in       io.Reader
	out      io.Writer

	dir, data           string
	force, skipLogin    bool
	anonymous, guest    bool
	passwordFile        string
	channelPasswordFile string

	// values are the answers, by the paths of their keys.
	values map[string]string
	// The passwords are empty if there are none.
	accountPassword, channelPassword string
	// people are the names of the files with tokens that are to be made.
	people []string
}

// The flags of init that are those of no key.
const (
	dirFlag             = "dir"
	dataFlag            = "data"
	forceFlag           = "force"
	skipLoginFlag       = "skip-login"
	anonymousFlag       = "anonymous"
	guestFlag           = "guest"
	passwordFlag        = "password-file"
	channelPasswordFlag = "channel-password-file"
	tokensFlag          = "web-tokens"
)

// The names of the files that init writes.
const (
	setupConfigFile          = "rosey.yaml"
	setupPasswordFile        = "password"
	setupChannelPasswordFile = "channel-password"
	setupTokensDir           = "tokens"
)

func (s *setup) addFlags(set *pflag.FlagSet) {
	s.flags = set
	set.StringVar(&s.dir, dirFlag, ".", "`Directory` for the files, created if it is absent")
	set.StringVar(&s.data, dataFlag, "", "`Directory` for the database and its backups, which rosey run creates "+
		"(default "+defaultDataDir+" in --"+dirFlag+")")
	set.BoolVar(&s.force, forceFlag, false, "Replace files that exist")
	set.BoolVar(&s.skipLogin, skipLoginFlag, false, "Write the files without trying the login")
	set.BoolVar(&s.anonymous, anonymousFlag, false, "Let the bot watch without a name, so that it cannot chat")
	set.BoolVar(&s.guest, guestFlag, false, "Let the bot log in as a guest, without a password")
	set.StringVar(&s.passwordFile, passwordFlag, "", "`File` with the account's password, or - for the standard input")
	set.StringVar(&s.channelPasswordFile, channelPasswordFlag, "",
		"`File` with the channel's password, or - for the standard input")
	set.String(tokensFlag, "", "`Names` of people who get a token for the web page, comma separated; a name that ends in "+
		config.CommandsSuffix+" may send commands too")
	for _, key := range config.KeysAt("channel.name", "channel.server", "account.username", "database.retention.chat",
		"database.backup.every", "database.backup.keep", "http.address", "web.public", "web.host") {
		usage := key.Usage
		switch key.Path {
		case "channel.name":
			usage = "`Channel` to join: its name, or its address such as https://cytu.be/r/movienight"
		case "http.address":
			key.Default = config.DefaultRunHTTPAddress
			usage = "Address of the web page, and of health, status and metrics"
		}
		if key.Kind == config.SwitchKind {
			set.Bool(key.Flag, key.Default == "true", usage)
			continue
		}
		set.String(key.Flag, key.Default, usage)
	}
}

// nothingWritten ends every message about a failure before the files are written.
const nothingWritten = "nothing was written"

func (s *setup) run(ctx context.Context) error {
	if err := s.checkFlags(); err != nil {
		return err
	}
	files, err := openSetupFiles(s.dir, s.force)
	if err != nil {
		return exit.Failed(fmt.Errorf("%w; %s", err, nothingWritten))
	}
	defer files.close()
	for _, step := range []func(context.Context) error{s.askChannel, s.askAccount, s.login, s.askKept, s.askPage} {
		if err := step(ctx); err != nil {
			return s.explain(ctx, err)
		}
	}
	content, err := s.contents()
	if err == nil {
		err = files.write(ctx, content)
	}
	if err != nil {
		return exit.Failed(s.explain(ctx, err))
	}
	return exit.Failed(s.report(content))
}

// explain returns the error that a step ended with, for a person who wants to know what is there now.
func (s *setup) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return exit.Failed(errors.New("interrupted; " + nothingWritten))
	}
	return fmt.Errorf("%w; %s", err, nothingWritten)
}

// checkFlags reports flags that contradict each other, and resolves the directories.
func (s *setup) checkFlags() (err error) {
	given := s.flags.Changed
	switch {
	case s.anonymous && (given("username") || s.guest || given(passwordFlag)):
		return fmt.Errorf("--%s: expected neither --username nor --%s nor --%s with it", anonymousFlag, guestFlag,
			passwordFlag)
	case s.guest && given(passwordFlag):
		return fmt.Errorf("--%s: expected no --%s with it", guestFlag, passwordFlag)
	case s.passwordFile == stdinFile && s.channelPasswordFile == stdinFile:
		return fmt.Errorf("--%s, --%s: only one of them can be the standard input", passwordFlag, channelPasswordFlag)
	}
	s.values = map[string]string{}
	if s.dir, err = absoluteDir(dirFlag, s.dir); err != nil {
		return err
	}
	if s.data == "" {
		s.data = filepath.Join(s.dir, defaultDataDir)
	}
	s.data, err = absoluteDir(dataFlag, s.data)
	return err
}

// absoluteDir returns the directory that a flag names as it is written into the configuration.
func absoluteDir(flag, dir string) (string, error) {
	if dir == "" || !utf8.ValidString(dir) {
		return "", fmt.Errorf("--%s: expected a directory with a name in UTF-8", flag)
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return "", exit.Failed(fmt.Errorf("--%s: finding the directory: %w", flag, err))
	}
	return absolute, nil
}

// report says what was written and how to go on, without secrets.
func (s *setup) report(files []setupFile) error {
	var text strings.Builder
	fmt.Fprintln(&text, "Written, for their owner alone:")
	for _, file := range files {
		fmt.Fprintf(&text, "  %s\n", status.Printable(filepath.Join(s.dir, file.name)))
	}
	configuration := status.Printable(filepath.Join(s.dir, setupConfigFile))
	fmt.Fprintf(&text, "Start the bot with: rosey run --config %s\n", configuration)
	return printf(s.out, "%s", text.String())
}
