package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// settings is the parsed command line.
type settings struct {
	listen  string
	channel string
	script  bool
	evening simulator.ScriptOptions
	options simulator.Options
}

// parseFlags parses the command line. An error names the flag.
func parseFlags(args []string, usage io.Writer) (settings, error) {
	var s settings
	var script, accountsFile, password string
	var accounts []string
	flags := flag.NewFlagSet("cytube", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.StringVar(&s.listen, "listen", ":8880", "address to listen on")
	flags.StringVar(&s.options.PublicURL, "public-url", "",
		"base `URL` that clients are sent to (default: the host of their request)")
	flags.Func("account", "registered account as `name:password:rank`, repeatable; everyone who can list processes "+
		"sees the password, so use -accounts-file on a shared machine", func(text string) error {
		accounts = append(accounts, text) // parsed later: package flag would print an invalid one with its password
		return nil
	})
	flags.StringVar(&accountsFile, "accounts-file", "", "YAML or JSON `file` with a list of {name, password, rank}")
	flags.StringVar(&s.channel, "channel", "movienight", "`name` of the channel of -script and -channel-password")
	flags.StringVar(&password, "channel-password", "", "password of the channel")
	flags.StringVar(&script, "script", "", `"evening": people come, chat and leave`)
	flags.Uint64Var(&s.evening.Seed, "seed", 1, "seed of the script; the same seed gives the same script")
	flags.DurationVar(&s.evening.Pace, "pace", 0, "mean time between two actions of the script (default 800ms)")
	flags.DurationVar(&s.evening.Duration, "duration", 0, "length of the script (default: until the program ends)")
	flags.DurationVar(&s.options.PingInterval, "ping-interval", 0, "time between heartbeats (default 25s)")
	flags.DurationVar(&s.options.UsercountInterval, "usercount-interval", 0,
		"minimum time between two usercount frames, negative for none (default 10s)")
	limits := simulator.CyTubeLimits()
	limited := flags.Bool("limits", true, "limit connections, guest logins, chat and the playlist as CyTube does")
	flags.IntVar(&limits.ConnectBurst, "connect-burst", limits.ConnectBurst,
		"`number` of connections that an address may open at once, then one per 10s; 0 for no limit")
	flags.IntVar(&limits.Connections, "connections", limits.Connections,
		"`number` of connections that an address may have; 0 for no limit")
	flags.DurationVar(&limits.GuestLoginDelay, "guest-login-delay", limits.GuestLoginDelay,
		"minimum time between two guest logins from one address")
	if err := flags.Parse(args); err != nil {
		return settings{}, fmt.Errorf("command line: %w", err)
	}
	if flags.NArg() > 0 {
		return settings{}, fmt.Errorf("command line: unexpected argument %q", flags.Arg(0))
	}
	if *limited {
		s.options.Limits = limits
	}
	if script != "" && script != "evening" {
		return settings{}, fmt.Errorf("flag -script: expected %q, got %q", "evening", script)
	}
	s.script = script != ""
	channel := simulator.DefaultChannel(s.channel)
	channel.Password = password
	s.options.Channels = []simulator.ChannelOptions{channel}
	for i, text := range accounts {
		account, err := parseAccount(text)
		if err != nil {
			return settings{}, fmt.Errorf("flag -account, number %d: %w", i+1, err)
		}
		s.options.Accounts = append(s.options.Accounts, account)
	}
	return s, s.readAccounts(accountsFile)
}

// parseAccount reads name:password:rank. The password may contain colons.
func parseAccount(text string) (simulator.Account, error) {
	first, last := strings.Index(text, ":"), strings.LastIndex(text, ":")
	if first == last {
		return simulator.Account{}, errors.New("expected name:password:rank")
	}
	rank, err := strconv.ParseFloat(text[last+1:], 64)
	if err != nil {
		return simulator.Account{}, errors.New("rank: expected a number after the last colon")
	}
	return simulator.Account{Name: text[:first], Password: text[first+1 : last], Rank: rank}, nil
}

func (s *settings) readAccounts(file string) error {
	if file == "" {
		return nil
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("flag -accounts-file: %w", err)
	}
	var accounts []simulator.Account
	if err := yaml.UnmarshalStrict(raw, &accounts); err != nil {
		return fmt.Errorf("accounts file %s: expected a list of {name, password, rank}: %w", file, err)
	}
	s.options.Accounts = append(s.options.Accounts, accounts...)
	return nil
}
