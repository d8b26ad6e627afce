package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/status"
)

const (
	maxStreamReplicas = 5
	// minStreamBytes leaves room for the largest message that a server takes by default.
	minStreamBytes = 1 << 20
	maxStreamBytes = 1 << 40
)

var natsSchemes = []string{"nats", "tls", "ws", "wss"}

// validate reports everything that is wrong at once, so that one round of corrections is enough.
func (c *Config) validate(component status.Component) error {
	problems := []error{
		checkPattern("nats.subjectPrefix", c.NATS.SubjectPrefix),
		checkAddress(c.HTTP.Address),
		checkValues("logLevel", c.LogLevel),
		checkValues("mode", c.Mode),
		c.Commands.validate(),
		c.NATS.JetStream.validate(),
		c.Database.Retention.validate(),
	}
	if component != status.CLIComponent || c.Channel.Name != "" {
		problems = append(problems, checkPattern("channel.name", c.Channel.Name))
	}
	if component != status.CLIComponent || c.Channel.Server != "" {
		problems = append(problems, checkServer(c.Channel.Server))
	}
	if c.needsNATS(component) || c.NATS.URL != "" {
		problems = append(problems, checkNATSURL(c.NATS.URL))
	}
	if c.Account != nil {
		problems = append(problems, checkPattern("account.username", c.Account.Username))
	}
	if c.needsDatabase(component) {
		problems = append(problems, c.Database.validate())
	}
	if component == status.BotComponent {
		problems = append(problems, c.validateStandby(), c.validateFallback())
	}
	return errors.Join(problems...)
}

func (c *Config) needsNATS(component status.Component) bool {
	return component != status.RunComponent && (component != status.BotComponent || c.Mode != ModeDirect)
}

func (c *Config) needsDatabase(component status.Component) bool {
	return component == status.DatabaseComponent || component == status.BotComponent && c.Mode == ModeDirect
}

func (c *Config) validateStandby() error {
	switch {
	case !c.Standby:
		return nil
	case c.Mode == ModeDirect || c.NATS.JetStream.Mode == JetStreamNever:
		return &KeyError{Key: "standby", Problem: "needs the lock, which is kept in JetStream: " +
			"expected mode nats, and nats.jetStream.mode auto or always"}
	case c.Account == nil:
		return &KeyError{Key: "standby", Problem: "needs account.username: two anonymous bots can be in a channel at once"}
	}
	return nil
}

func (c *Config) validateFallback() error {
	if c.Database.DirectFallback && c.Mode == ModeNATS && c.Database.Postgres == nil {
		return &KeyError{Key: "database.directFallback", Problem: "needs database.postgres: " +
			"one process alone can open a database in a file"}
	}
	return nil
}

func (d Database) validate() error {
	switch {
	case d.SQLite != nil && d.Postgres != nil:
		return &KeyError{Key: "database", Problem: "both sqlite and postgres, expected one of them"}
	case d.Postgres != nil:
		return checkPattern("database.postgres.urlFile", d.Postgres.URLFile)
	case d.SQLite == nil:
		return &KeyError{Key: "database", Problem: "expected one of sqlite and postgres"}
	case d.SQLite.Path == "":
		return &KeyError{Key: "database.sqlite.path", Problem: "required, the path of the database file"}
	}
	return nil
}

func (j JetStream) validate() error {
	return errors.Join(
		checkValues("nats.jetStream.mode", j.Mode),
		checkRange("nats.jetStream.replicas", j.Replicas),
		checkPattern("nats.jetStream.maxAge", string(j.MaxAge)),
		checkRange("nats.jetStream.maxBytes", j.MaxBytes),
	)
}

func (r Retention) validate() error {
	return errors.Join(
		checkKept("database.retention.chat", r.Chat),
		checkKept("database.retention.userCounts", r.UserCounts),
		checkKept("database.retention.outbound", r.Outbound),
	)
}

// minKept is the least that rows are kept: the answer to a repeated request is in those of its first try.
const minKept = time.Hour

func checkKept(key string, kept Duration) error {
	if err := checkPattern(key, string(kept)); err != nil {
		return err
	}
	if length := kept.Time(); length >= 0 && length < minKept {
		return &KeyError{Key: key, Problem: fmt.Sprintf("%q, expected %s", kept, settings[key].expected)}
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

func checkValues(key, value string) error {
	if slices.Contains(settings[key].values, value) {
		return nil
	}
	return &KeyError{Key: key, Problem: fmt.Sprintf(
		"%q, expected one of %s", value, strings.Join(settings[key].values, ", "))}
}
