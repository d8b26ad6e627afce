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

var natsSchemes = []string{"nats", "tls", "ws", "wss"}

// validate reports everything that is wrong at once, so that one round of corrections is enough.
func (c *Config) validate(component Component) error {
	problems := []error{
		checkPattern("nats.subjectPrefix", c.NATS.SubjectPrefix),
		checkAddress(c.HTTP.Address),
		checkLogLevel(c.LogLevel),
		c.Commands.validate(),
	}
	if component != ConsoleComponent || c.Channel.Name != "" {
		problems = append(problems, checkPattern("channel.name", c.Channel.Name))
	}
	if component != ConsoleComponent || c.Channel.Server != "" {
		problems = append(problems, checkServer(c.Channel.Server))
	}
	if component != RunComponent || c.NATS.URL != "" {
		problems = append(problems, checkNATSURL(c.NATS.URL))
	}
	if c.Account != nil {
		problems = append(problems, checkPattern("account.username", c.Account.Username))
	}
	if component == DatabaseComponent {
		problems = append(problems, c.Database.validate())
	}
	return errors.Join(problems...)
}

func (d Database) validate() error {
	if d.SQLite == nil {
		return &KeyError{Key: "database.sqlite", Problem: "required"}
	}
	if d.SQLite.Path == "" {
		return &KeyError{Key: "database.sqlite.path", Problem: "required, the path of the database file"}
	}
	return nil
}

func checkPattern(key, value string) error {
	about := settings[key]
	if regexp.MustCompile(about.pattern).MatchString(value) {
		return nil
	}
	return &KeyError{Key: key, Problem: fmt.Sprintf("%q, expected %s", value, about.expected)}
}

func checkRange(key string, value int) error {
	about := settings[key]
	if value >= about.least && value <= about.most {
		return nil
	}
	return &KeyError{Key: key, Problem: fmt.Sprintf("%d, expected %d to %d", value, about.least, about.most)}
}

func checkServer(value string) error {
	server, err := url.Parse(value)
	if err == nil && (server.Scheme == "http" || server.Scheme == "https") && server.Host != "" &&
		server.User == nil && server.Path == "" && server.RawQuery == "" && server.Fragment == "" {
		return nil
	}
	return &KeyError{
		Key: "channel.server", Problem: fmt.Sprintf("%q, expected %s", withoutUser(value), serverExpected)}
}

func checkNATSURL(value string) error {
	if value == "" {
		return &KeyError{Key: "nats.url", Problem: "required, for example nats://nats:4222"}
	}
	for one := range strings.SplitSeq(value, ",") {
		server, err := url.Parse(strings.TrimSpace(one))
		if err != nil || !slices.Contains(natsSchemes, server.Scheme) || server.Host == "" {
			return &KeyError{
				Key: "nats.url", Problem: fmt.Sprintf("%q, expected %s", withoutUser(one), natsExpected)}
		}
		if server.User != nil {
			return &KeyError{Key: "nats.url", Problem: "must not contain a user or a password"}
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
		return &KeyError{Key: "http.address", Problem: fmt.Sprintf("%q, expected %s", value, addressExpected)}
	}
	return nil
}

func checkLogLevel(value string) error {
	if slices.Contains(settings["logLevel"].values, value) {
		return nil
	}
	return &KeyError{Key: "logLevel", Problem: fmt.Sprintf(
		"%q, expected one of %s", value, strings.Join(settings["logLevel"].values, ", "))}
}
