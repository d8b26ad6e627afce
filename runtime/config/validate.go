package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

var (
	channelName   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,30}$`)
	accountName   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,20}$`)
	subjectPrefix = regexp.MustCompile(`^[^.*>\s$_][^.*>\s]*$`)
	natsSchemes   = []string{"nats", "tls", "ws", "wss"}
	logLevels     = []string{"debug", "info", "warn", "error"}
)

// validate reports everything that is wrong at once, so that one round of corrections is enough.
func (c *Config) validate(component Component) error {
	problems := []error{
		checkServer(c.Channel.Server),
		checkPattern("channel.name", c.Channel.Name, channelName, "1 to 30 letters, digits, '-' and '_'"),
		checkNATSURL(c.NATS.URL),
		checkPattern("nats.subjectPrefix", c.NATS.SubjectPrefix, subjectPrefix,
			"one token without '.', '*', '>' or spaces that does not start with '$' or '_'"),
		checkAddress(c.HTTP.Address),
		checkLogLevel(c.LogLevel),
		c.Commands.validate(),
	}
	if c.Account != nil {
		problems = append(problems,
			checkPattern("account.username", c.Account.Username, accountName, "1 to 20 letters, digits, '-' and '_'"))
	}
	if component == DatabaseComponent {
		problems = append(problems, c.Database.validate())
	}
	return errors.Join(problems...)
}

func (d Database) validate() error {
	if d.SQLite == nil {
		return errors.New("database.sqlite: required")
	}
	if d.SQLite.Path == "" {
		return errors.New("database.sqlite.path: required, the path of the database file")
	}
	return nil
}

func checkPattern(field, value string, pattern *regexp.Regexp, expected string) error {
	if pattern.MatchString(value) {
		return nil
	}
	return fmt.Errorf("%s: %q, expected %s", field, value, expected)
}

func checkServer(value string) error {
	server, err := url.Parse(value)
	if err == nil && (server.Scheme == "http" || server.Scheme == "https") && server.Host != "" &&
		server.User == nil && server.Path == "" && server.RawQuery == "" && server.Fragment == "" {
		return nil
	}
	return fmt.Errorf("channel.server: %q, expected http(s)://host[:port] without a path", withoutUser(value))
}

func checkNATSURL(value string) error {
	if value == "" {
		return errors.New("nats.url: required, for example nats://nats:4222")
	}
	for one := range strings.SplitSeq(value, ",") {
		server, err := url.Parse(strings.TrimSpace(one))
		if err != nil || !slices.Contains(natsSchemes, server.Scheme) || server.Host == "" {
			return fmt.Errorf("nats.url: %q, expected nats://, tls://, ws:// or wss:// and host[:port]", withoutUser(one))
		}
		if server.User != nil {
			return errors.New("nats.url: must not contain a user or a password")
		}
	}
	return nil
}

// withoutUser keeps a password that stands where it should not out of the error message.
func withoutUser(value string) string {
	at := strings.LastIndex(value, "@")
	if at < 0 {
		return value
	}
	return "…" + value[at:]
}

func checkAddress(value string) error {
	if _, _, err := net.SplitHostPort(value); err != nil {
		return fmt.Errorf("http.address: %q, expected [host]:port", value)
	}
	return nil
}

func checkLogLevel(value string) error {
	if slices.Contains(logLevels, value) {
		return nil
	}
	return fmt.Errorf("logLevel: %q, expected one of %s", value, strings.Join(logLevels, ", "))
}
