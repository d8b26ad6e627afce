package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

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

// validate returns everything that is wrong at once, so that one round of corrections is enough. The document is what c
// was decoded from.
func (c *Config) validate(component status.Component, d document) error {
	required := map[string]bool{
		"channel.name":              component != status.CLIComponent,
		"channel.server":            component != status.CLIComponent,
		"nats.url":                  c.needsNATS(component),
		"account.username":          c.Account != nil,
		"database.postgres.urlFile": c.needsDatabase(component) && c.Database.Postgres != nil,
	}
	var problems []error
	for _, key := range Keys() {
		value := d.get(key.Path)
		switch {
		case key.Kind == ListKind || key.Kind == TableKind:
			problems = append(problems, checkElements(value, key, key.Path, key.Path))
		case value != nil && value != "" || required[key.Path]:
			problems = append(problems, key.check(value))
		}
	}
	if c.needsDatabase(component) {
		problems = append(problems, c.Database.validate())
	}
	if component == status.BotComponent {
		problems = append(problems, c.validateStandby(), c.validateFallback())
	}
	problems = append(problems, c.Telemetry.validate(), validatePlugins("plugins", c.Plugins))
	return errors.Join(problems...)
}

// validate is about the keys that Key.check cannot check alone.
func (t Telemetry) validate() error {
	endpoint, err := url.Parse(t.Endpoint)
	if err == nil && t.Protocol == OTLPGRPC && strings.TrimPrefix(endpoint.Path, "/") != "" {
		return &KeyError{Key: "telemetry.endpoint", Problem: "expected no path with telemetry.protocol " + OTLPGRPC}
	}
	return nil
}

func (c *Config) needsNATS(component status.Component) bool {
	return component != status.RunComponent && (component != status.BotComponent || c.Mode != ModeDirect)
}

func (c *Config) needsDatabase(component status.Component) bool {
	return component == status.DatabaseComponent || component == status.BotComponent && c.Mode == ModeDirect
}

func (c *Config) validateStandby() error {
	key := "standby"
	if c.StandbyFile != "" {
		key = "standbyFile"
	}
	switch {
	case !c.Standby && c.StandbyFile == "":
		return nil
	case c.Mode == ModeDirect || c.NATS.JetStream.Mode == JetStreamNever:
		return &KeyError{Key: key, Problem: "needs JetStream for the election of the bot in the channel: " +
			"expected mode nats, and nats.jetStream.mode auto or always"}
	case c.Account == nil:
		return &KeyError{Key: key, Problem: "needs account.username: two anonymous bots can be in a channel at once"}
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
	case d.SQLite == nil && d.Postgres == nil:
		return &KeyError{Key: "database", Problem: "expected one of sqlite and postgres"}
	case d.Postgres != nil && d.Backup.Directory != "":
		return &KeyError{Key: "database.backup.directory", Problem: "only an SQLite database is backed up: for PostgreSQL " +
			"use pg_dump, or what your server offers"}
	case d.SQLite != nil && d.SQLite.Path == "":
		return &KeyError{Key: "database.sqlite.path", Problem: "required, the path of the database file"}
	}
	return nil
}

// check compares a value of a document, which has the right type, with what the key allows. A required value that is
// absent is nil.
func (k Key) check(value any) error {
	text := ""
	if value != nil {
		text = fmt.Sprint(value)
	}
	problem := ""
	switch {
	case k.Kind == NumberKind, k.Kind == DecimalKind:
		problem = k.numberProblem(text)
	case k.values != nil && !slices.Contains(k.values, text):
		problem = fmt.Sprintf("%q, expected one of %s", text, strings.Join(k.values, ", "))
	case k.Path == "nats.url":
		problem = NATSURLProblem(text)
	case k.maxLength > 0 && utf8.RuneCountInString(text) > k.maxLength:
		problem = fmt.Sprintf("%d characters, expected at most %d", utf8.RuneCountInString(text), k.maxLength)
	case k.pattern != "" && !regexp.MustCompile(k.pattern).MatchString(text), k.valid != nil && !k.valid(text):
		problem = quoteValue(text) + ", expected " + k.expected
	}
	if problem == "" {
		return nil
	}
	return &KeyError{Key: k.Path, Problem: problem}
}

// Check compares a value in the form of flags and environment variables with what the key allows. The error is a
// *KeyError.
func (k Key) Check(text string) error {
	value := k.parse(text)
	if value == nil {
		return &KeyError{Key: k.Path, Problem: fmt.Sprintf("%q, expected %s", text, k.Kind)}
	}
	return k.check(value)
}

func (k Key) numberProblem(text string) string {
	number, err := strconv.ParseFloat(text, 64) // that it is whole was checked, if it has to be
	isWithin := number >= float64(k.minimum) && number <= float64(k.maximum)
	if err == nil && (isWithin || number == 0 && k.orZero) {
		return ""
	}
	expected := fmt.Sprintf("%d to %d", k.minimum, k.maximum)
	if k.orZero {
		expected = "0 or " + expected
	}
	return fmt.Sprintf("%s, expected %s", text, expected)
}

// validServer reports whether a text that looks like the URL of a server is one.
func validServer(text string) bool {
	server, err := url.Parse(text)
	return err == nil && server.Host != ""
}

// validURLFile reports whether a text is not the URL or the connection string itself: errors show it as a path.
func validURLFile(text string) bool {
	return !strings.Contains(text, "://") && !strings.Contains(strings.ToLower(text), "password=")
}

func validBackupInterval(text string) bool {
	return text == string(Never) || Duration(text).Time() >= MinBackupInterval
}

func validRetention(text string) bool {
	length := Duration(text).Time()
	return length < 0 || length >= MinRetention
}

// validEndpoint reports whether a text that looks like the URL of a receiver is one.
func validEndpoint(text string) bool {
	endpoint, err := url.Parse(text)
	return err == nil && endpoint.Host != "" && validHost(endpoint.Hostname())
}

// validAttributes reports whether the values of a list of attributes can be decoded.
func validAttributes(text string) bool {
	_, err := url.PathUnescape(text)
	return err == nil
}

func validAddress(text string) bool {
	_, _, err := net.SplitHostPort(text)
	return err == nil
}

// harmlessURLs matches lists of URLs that contain no more than schemes, hosts and ports.
var harmlessURLs = regexp.MustCompile(`^(\s*([a-z]+:)?/*[A-Za-z0-9._-]*(:[0-9]*)*/*\s*(,|$))+$`)

// oneNATSURL matches one URL of a NATS server.
var oneNATSURL = regexp.MustCompile(`^` + natsURLPattern + `$`)

// NATSURLProblem returns what is wrong with a list of NATS URLs, without a password that may be in it. Empty: nothing.
func NATSURLProblem(text string) string {
	if text == "" {
		return "required, for example nats://nats:4222"
	}
	for one := range strings.SplitSeq(text, ",") {
		if problem := natsServerProblem(strings.TrimSpace(one), text); problem != "" {
			return problem
		}
	}
	return ""
}

// natsServerProblem is NATSURLProblem for one URL of a list.
func natsServerProblem(one, list string) string {
	server, err := url.Parse(one)
	if err != nil {
		server = &url.URL{}
	}
	scheme, host, _ := strings.Cut(one, "://")
	right, known := withBrackets(strings.TrimSuffix(host, "/")), slices.Contains(natsSchemes, scheme)
	switch {
	case server.Host != "" && oneNATSURL.MatchString(one) && validHost(server.Hostname()):
		return ""
	case right != "" && known:
		return fmt.Sprintf("%q, expected an IPv6 address in brackets: %s://%s", one, scheme, right)
	case server.Host != "" && known && hasMoreThanHost(server):
		return "must not contain a user, a password, a path or a query; nats.credentialsDir has the credentials"
	case harmlessURLs.MatchString(list): // the whole list: what follows a comma in a password looks like a host
		return strconv.Quote(one) + ", expected " + settings["nats.url"].expected
	}
	return hiddenValue + ", expected " + settings["nats.url"].expected
}

func hasMoreThanHost(server *url.URL) bool {
	return server.User != nil || server.RawQuery != "" || server.Fragment != "" || strings.Trim(server.Path, "/") != ""
}

var natsSchemes = []string{"nats", "tls", "ws", "wss"}

// validHost reports whether a host that contains a colon is an IPv6 address.
func validHost(host string) bool {
	if !strings.Contains(host, ":") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Is6()
}

// withBrackets returns an IPv6 address that has no brackets, with its port, as it is written in a URL. It is empty for
// anything else.
func withBrackets(host string) string {
	isIPv6 := func(text string) bool {
		address, err := netip.ParseAddr(text)
		return err == nil && address.Is6()
	}
	at := strings.LastIndexByte(host, ':')
	// The end of ::1:4222 is a port rather than a part of the address.
	if at >= 0 && len(host)-at > len(":99") && validPort.MatchString(host[at+1:]) && isIPv6(host[:at]) {
		return "[" + host[:at] + "]" + host[at:]
	}
	if isIPv6(host) {
		return "[" + host + "]"
	}
	return ""
}

var validPort = regexp.MustCompile(`^` + portPattern + `$`)

// hiddenValue stands in errors for a value that is not shown.
const hiddenValue = "a value that may contain a password"

// quoteValue quotes a value for an error, unless a secret may be in it: of a URL or a connection string that is not as
// expected, nobody can tell which part is the secret.
func quoteValue(text string) string {
	if strings.ContainsAny(text, "@=") || strings.Contains(text, "://") && strings.ContainsAny(text, "?#%") {
		return hiddenValue
	}
	return strconv.Quote(text)
}
