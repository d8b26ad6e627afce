package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// question is something that init has to know.
type question struct {
	// flag is the name of the flag with the answer, without dashes.
	flag string
	// text is what a person is asked.
	text string
	// isOptional reports whether a person may say nothing, which the default of the flag stands for.
	isOptional bool
	// instead is what an error names as the other flag that answers the question. Empty: there is none.
	instead string
	// parse returns an answer in the form in which it is used, or what is wrong with it.
	parse func(answer string) (string, error)
}

// maxWrongAnswers bounds how often a question is asked again.
const maxWrongAnswers = 5

// ask returns the answer to a question: that of its flag, or that of a person, or its default.
func (s *setup) ask(ctx context.Context, q question) (string, error) {
	flag := s.flags.Lookup(q.flag)
	if flag.Changed || s.terminal == nil {
		if !flag.Changed && (!q.isOptional || q.instead != "") {
			return "", s.missing(q.flag, q.instead)
		}
		answer, err := q.parse(flag.Value.String())
		if err != nil {
			return "", fmt.Errorf("--%s: %w", q.flag, err)
		}
		return answer, nil
	}
	prompt := q.text
	if flag.DefValue != "" {
		prompt += " [" + defaultAnswer(flag.DefValue) + "]"
	}
	for range maxWrongAnswers {
		said, err := s.terminal.read(ctx, prompt+": ", false)
		if err != nil {
			return "", exit.Failed(err)
		}
		answer, err := q.parse(cmp.Or(said, flag.DefValue))
		if err == nil {
			return answer, nil
		}
		if err := printf(s.terminal.out, "  %s\n", status.Printable(err.Error())); err != nil {
			return "", exit.Failed(err)
		}
	}
	return "", exit.Failed(fmt.Errorf("%d wrong answers", maxWrongAnswers))
}

// defaultAnswer returns the default of a flag as a person writes it.
func defaultAnswer(value string) string {
	switch value {
	case "true":
		return "yes"
	case "false":
		return "no"
	}
	return value
}

// missing is the error for an answer that nobody can be asked for.
func (s *setup) missing(flag, instead string) error {
	if instead != "" {
		return fmt.Errorf("--%s or --%s: expected one of them, because there is no terminal to ask at", flag, instead)
	}
	return fmt.Errorf("--%s: expected, because there is no terminal to ask at", flag)
}

// keyParser returns a function for question.parse that accepts what the configuration accepts for a key.
func keyParser(path string) func(answer string) (string, error) {
	key := config.KeysAt(path)[0]
	return func(answer string) (string, error) {
		err := key.Check(answer)
		if wrong, ok := errors.AsType[*config.KeyError](err); ok {
			return "", errors.New(wrong.Problem) // the key is that of the question
		}
		return answer, err
	}
}

// parseYesNo is a function for question.parse. It returns true or false.
func parseYesNo(answer string) (string, error) {
	switch strings.ToLower(answer) {
	case "y", "yes", "true":
		return "true", nil
	case "n", "no", "false":
		return "false", nil
	}
	return "", fmt.Errorf("%q, expected yes or no", answer)
}

// askKey asks for the value of a key.
func (s *setup) askKey(ctx context.Context, path, text string) error {
	key := config.KeysAt(path)[0]
	q := question{flag: key.Flag, text: text, isOptional: true, parse: keyParser(path)}
	if key.Kind == config.SwitchKind {
		q.parse = parseYesNo
	}
	answer, err := s.ask(ctx, q)
	s.values[path] = answer
	return err
}

func (s *setup) askChannel(ctx context.Context) error {
	address := ""
	name, err := s.ask(ctx, question{
		flag: "channel", text: "Channel: its name, or its address such as https://cytu.be/r/movienight",
		parse: func(answer string) (name string, err error) {
			address, name, err = parseChannel(answer)
			return name, err
		},
	})
	if err != nil {
		return err
	}
	s.values["channel.name"], s.values["channel.server"] = name, address
	given := s.flags.Lookup("server")
	switch {
	case address == "":
		err = s.askKey(ctx, "channel.server", "CyTube server")
	case given.Changed && !strings.EqualFold(strings.TrimRight(given.Value.String(), "/"), address):
		err = fmt.Errorf("--server: another one than that of the channel's address, %s", address)
	}
	if err == nil && s.channelPasswordFile != "" {
		s.channelPassword, err = s.readPassword(channelPasswordFlag, s.channelPasswordFile)
	}
	// The configuration has the same spelling when it is loaded.
	s.values["channel.server"] = strings.ToLower(strings.TrimRight(s.values["channel.server"], "/"))
	return err
}

// parseChannel returns the name of a channel, and the server in its address if the text is one.
func parseChannel(text string) (server, name string, err error) {
	parseName, parseServer := keyParser("channel.name"), keyParser("channel.server")
	if !strings.ContainsAny(text, "/:.") {
		name, err = parseName(text)
		return "", name, err
	}
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	address, err := url.Parse(text)
	if err != nil || address.User != nil {
		return "", "", errors.New("expected a name, or an address such as https://cytu.be/r/movienight")
	}
	path := strings.Split(strings.Trim(address.Path, "/"), "/")
	if len(path) != 2 {
		return "", "", fmt.Errorf("%q, expected the path /r/NAME in the address of a channel", address.Path)
	}
	if name, err = parseName(path[1]); err == nil {
		server, err = parseServer(address.Scheme + "://" + address.Host)
	}
	return server, name, err
}

func (s *setup) askAccount(ctx context.Context) error {
	s.values["account.username"], s.accountPassword = "", "" // the server may have refused those of before
	if s.anonymous {
		return nil
	}
	parse := keyParser("account.username")
	name, err := s.ask(ctx, question{
		flag: "username", isOptional: true, instead: anonymousFlag,
		text: "Name of the bot: an account or a guest, or nothing to watch without a name",
		parse: func(answer string) (string, error) {
			if answer == "" && !s.flags.Changed("username") {
				return "", nil
			}
			return parse(answer)
		},
	})
	if err != nil || name == "" {
		return err
	}
	s.values["account.username"] = name
	return s.askPassword(ctx, name)
}

func (s *setup) askPassword(ctx context.Context, name string) (err error) {
	switch {
	case s.guest:
		return nil
	case s.passwordFile != "":
		s.accountPassword, err = s.readPassword(passwordFlag, s.passwordFile)
	case s.terminal == nil:
		return s.missing(passwordFlag, guestFlag)
	default:
		s.accountPassword, err = s.typePassword(ctx, "Password of the account "+name+", or nothing for a guest")
	}
	return err
}

// stdinFile stands for the standard input.
const stdinFile = "-"

// maxPassword is the longest password in bytes. CyTube's have up to 100 characters.
const maxPassword = 1024

// readPassword reads a password from a file that a flag names.
func (s *setup) readPassword(flag, file string) (password string, err error) {
	if file != stdinFile {
		if password, err = config.ReadSecret(file); err != nil {
			return "", exit.Failed(fmt.Errorf("--%s: %w", flag, err))
		}
		return checkPassword(flag, password)
	}
	if s.terminal != nil {
		return "", fmt.Errorf("--%s: the standard input is a terminal, expected a file or nothing: without the flag "+
			"the password is asked for", flag)
	}
	content, err := readBounded(stdinFile, s.in, maxPassword)
	if err != nil {
		return "", exit.Failed(fmt.Errorf("--%s: reading the standard input: %w", flag, err))
	}
	return checkPassword(flag, strings.TrimRight(string(content), "\r\n"))
}

func checkPassword(flag, password string) (string, error) {
	switch {
	case password == "":
		return "", fmt.Errorf("--%s: empty, expected a password", flag)
	case len(password) > maxPassword, strings.ContainsAny(password, "\r\n"):
		return "", fmt.Errorf("--%s: expected one line of at most %d bytes", flag, maxPassword)
	}
	return password, nil
}

// typePassword asks for a password that is not shown.
func (s *setup) typePassword(ctx context.Context, text string) (string, error) {
	password, err := s.terminal.read(ctx, text+" (not shown): ", true)
	if err == nil && len(password) > maxPassword {
		err = fmt.Errorf("a password of %d bytes, expected at most %d", len(password), maxPassword)
	}
	return password, exit.Failed(err)
}

func (s *setup) askKept(ctx context.Context) error {
	err := s.askKey(ctx, "database.retention.chat", "How long lines of chat are kept: a time such as 150h, or forever")
	if err == nil {
		err = s.askKey(ctx, "database.backup.every", "Time between two backups of the database: such as 24h, or never")
	}
	if err != nil || s.values["database.backup.every"] == string(config.Never) {
		return err
	}
	return s.askKey(ctx, "database.backup.keep", "Number of backups that are kept")
}

func (s *setup) askPage(ctx context.Context) error {
	err := s.askKey(ctx, "http.address", "Address of the web page: host:port, where 127.0.0.1 is this machine alone")
	if err == nil && status.IsLoopback(s.values["http.address"]) {
		err = s.askHost(ctx)
	}
	if err == nil {
		err = s.askKey(ctx, "web.public", "May everybody who reaches the page read it without a token")
	}
	if err != nil {
		return err
	}
	names, err := s.ask(ctx, question{
		flag: tokensFlag, isOptional: true, parse: parsePeople,
		text: "People who get a token for the page, such as alice,bob.commands, or nothing for nobody",
	})
	s.people = strings.Fields(names)
	return err
}

func (s *setup) askHost(ctx context.Context) error {
	parse := keyParser("web.host")
	host, err := s.ask(ctx, question{
		flag: "web-host", isOptional: true,
		text: "Host name of the page, if a proxy on this machine serves it, such as movies.example.org",
		parse: func(answer string) (string, error) {
			if answer == "" {
				return "", nil
			}
			return parse(answer)
		},
	})
	s.values["web.host"] = host
	return err
}

// maxPeople is how many tokens init makes.
const maxPeople = 100

var personPattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,30}(` + regexp.QuoteMeta(config.CommandsSuffix) + `)?$`)

// parsePeople returns the names of files with tokens in a text, separated by spaces.
func parsePeople(answer string) (string, error) {
	names := strings.FieldsFunc(answer, func(r rune) bool { return r == ',' || r == ' ' })
	if len(names) > maxPeople {
		return "", fmt.Errorf("%d people, expected at most %d", len(names), maxPeople)
	}
	var people []string
	for _, name := range names {
		person := strings.TrimSuffix(name, config.CommandsSuffix)
		switch {
		case !personPattern.MatchString(name):
			return "", errors.New(strconv.Quote(name) + ", expected names of 1 to 30 letters, digits, '-' and '_', which may " +
				"end in " + config.CommandsSuffix)
		case slices.Contains(people, strings.ToLower(person)):
			return "", fmt.Errorf("%s is there twice", person)
		}
		people = append(people, strings.ToLower(person)) // some file systems do not tell upper from lower case
	}
	return strings.Join(names, " "), nil
}
