package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/status"
)

// KeyError is an error in one setting. It never shows a secret.
type KeyError struct {
	// Key is the setting's path, for example "channel.name".
	Key string
	// Origin is where the value comes from: an environment variable, a flag, or a key of a file that was converted.
	// Empty: from Key in the file.
	Origin string
	// Problem is the value and what was expected instead.
	Problem string
}

// Error returns key, origin and problem.
func (e *KeyError) Error() string {
	if e.Origin == "" {
		return e.Key + ": " + e.Problem
	}
	return e.Key + " (from " + e.Origin + "): " + e.Problem
}

// origins maps paths to the origins of their values, except for values that are in a file under their own key.
type origins map[string]string

// addTo adds the origins to the KeyErrors that are joined in err.
func (o origins) addTo(err error) error {
	var all []error
	for _, one := range split(err) {
		if problem, ok := errors.AsType[*KeyError](one); ok && problem.Origin == "" {
			one = &KeyError{Key: problem.Key, Origin: o.of(problem.Key), Problem: problem.Problem}
		}
		all = append(all, one)
	}
	return errors.Join(all...)
}

// of returns the origin of a key or of the innermost section around it that has one.
func (o origins) of(key string) string {
	for {
		if origin, ok := o[key]; ok {
			return origin
		}
		end := strings.LastIndexAny(key, ".[")
		if end < 0 {
			return ""
		}
		key = key[:end]
	}
}

// split returns the errors that are joined in err.
func split(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, one := range joined.Unwrap() {
		all = append(all, split(one)...)
	}
	return all
}

// validate returns everything that is wrong at once, so that one round of corrections is enough.
func (c *Config) validate(component status.Component) error {
	stream, retention := c.NATS.JetStream, c.Database.Retention
	problems := []error{
		checkPattern("nats.subjectPrefix", c.NATS.SubjectPrefix),
		checkAddress(c.HTTP.Address),
		checkValues("logLevel", c.LogLevel),
		checkValues("mode", c.Mode),
		checkPattern("commands.prefix", c.Commands.Prefix),
		checkRange("commands.cooldownSeconds", *c.Commands.CooldownSeconds),
		checkValues("nats.jetStream.mode", stream.Mode),
		checkRange("nats.jetStream.replicas", stream.Replicas),
		checkPattern("nats.jetStream.maxAge", string(stream.MaxAge)),
		checkRange("nats.jetStream.maxBytes", stream.MaxBytes),
		checkRetention("database.retention.chat", retention.Chat),
		checkRetention("database.retention.userCounts", retention.UserCounts),
		checkRetention("database.retention.outbound", retention.Outbound),
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
		return &KeyError{Key: "standby", Problem: "needs JetStream for the election of the bot in the channel: " +
			"expected mode nats, and nats.jetStream.mode auto or always"}
	case c.Account == nil:
		return &KeyError{Key: "standby", Problem: "needs account.username: two anonymous bots can be in a channel at once"}
	}
	return nil
}

func (c *Config) validateFallback() error {
	if c.Database.DirectFallback && c.Mode == ModeNATS && c.Database.Postgres == nil {
		return &KeyError{Key: "database.directFallback", Problem: "needs database.postgres: " +
			"only one process can open a SQLite file"}
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

// invalid returns the error for a value that is not what the table of keys describes.
func invalid(key, value string) error {
	return &KeyError{Key: key, Problem: fmt.Sprintf("%q, expected %s", value, settings[key].expected)}
}

func checkPattern(key, value string) error {
	if regexp.MustCompile(settings[key].pattern).MatchString(value) {
		return nil
	}
	return invalid(key, value)
}

func checkRetention(key string, value Duration) error {
	if length := value.Time(); length >= 0 && length < MinRetention {
		return invalid(key, string(value))
	}
	return checkPattern(key, string(value))
}

func checkRange(key string, value int) error {
	limits := settings[key]
	if value >= limits.minimum && value <= limits.maximum {
		return nil
	}
	return &KeyError{Key: key, Problem: fmt.Sprintf("%d, expected %d to %d", value, limits.minimum, limits.maximum)}
}

func checkValues(key, value string) error {
	allowed := settings[key].values
	if slices.Contains(allowed, value) {
		return nil
	}
	return &KeyError{Key: key, Problem: fmt.Sprintf("%q, expected one of %s", value, strings.Join(allowed, ", "))}
}

func checkServer(value string) error {
	server, err := url.Parse(value)
	if err == nil && (server.Scheme == "http" || server.Scheme == "https") && server.Host != "" &&
		server.User == nil && server.Path == "" && server.RawQuery == "" && server.Fragment == "" {
		return nil
	}
	return invalid("channel.server", withoutUser(value))
}

func checkNATSURL(value string) error {
	if value == "" {
		return &KeyError{Key: "nats.url", Problem: "required, for example nats://nats:4222"}
	}
	for one := range strings.SplitSeq(value, ",") {
		server, err := url.Parse(strings.TrimSpace(one))
		if err != nil || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, server.Scheme) || server.Host == "" {
			return invalid("nats.url", withoutUser(one))
		}
		if server.User != nil {
			return &KeyError{Key: "nats.url", Problem: "must not contain a user or a password"}
		}
	}
	return nil
}

// withoutUser removes the user and password of a URL, so that no error shows them.
func withoutUser(value string) string {
	at := strings.LastIndex(value, "@")
	if at < 0 {
		return value
	}
	return "…" + value[at:]
}

func checkAddress(value string) error {
	if _, _, err := net.SplitHostPort(value); err != nil {
		return invalid("http.address", value)
	}
	return nil
}
