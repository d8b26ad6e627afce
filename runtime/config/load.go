package config

import (
	"reflect"
	"strings"

	"rosey.dev/rosey/runtime/status"
)

// Load reads a configuration file (YAML or JSON) alone, fills in defaults and checks it for a component.
// An error names the key and what was expected.
func Load(path string, component status.Component) (Config, error) {
	loaded, err := Sources{File: path}.Load(component)
	return loaded.Config, err
}

// Parse is Load for a file's content. A key that is not known is an error: a setting with a typing
// mistake must not be a setting silently left out. It does not take a file of Rosey v2, whose passwords
// are read from the file itself.
func Parse(data []byte, component status.Component) (Config, error) {
	content, err := readTree(data)
	if err != nil {
		return Config{}, err
	}
	if err := check(content, reflect.TypeFor[Config](), ""); err != nil {
		return Config{}, err
	}
	return content.config(component)
}

func (c *Config) setDefaults(component status.Component) {
	address := DefaultHTTPAddress
	if component == status.RunComponent {
		address = DefaultRunHTTPAddress
	}
	if component == status.CLIComponent {
		setDefault(&c.NATS.URL, DefaultCLINATSURL)
	} else {
		// A console command that names no server means that of the service it asks.
		setDefault(&c.Channel.Server, DefaultServer)
	}
	setDefault(&c.NATS.SubjectPrefix, DefaultSubjectPrefix)
	setDefault(&c.HTTP.Address, address)
	setDefault(&c.LogLevel, DefaultLogLevel)
	setDefault(&c.Mode, ModeNATS)
	c.NATS.JetStream.setDefaults()
	c.Database.Retention.setDefaults()
	c.Commands.setDefaults()
	c.Channel.Server = strings.ToLower(strings.TrimRight(c.Channel.Server, "/"))
}

func (j *JetStream) setDefaults() {
	setDefault(&j.Mode, JetStreamAuto)
	setDefault(&j.Replicas, DefaultStreamReplicas)
	setDefault(&j.MaxAge, DefaultStreamMaxAge)
	setDefault(&j.MaxBytes, DefaultStreamMaxBytes)
}

func (r *Retention) setDefaults() {
	setDefault(&r.Chat, DefaultKeepChat)
	setDefault(&r.UserCounts, DefaultKeepUserCounts)
	setDefault(&r.Outbound, DefaultKeepOutbound)
}

func setDefault[T comparable](field *T, value T) {
	var none T
	if *field == none {
		*field = value
	}
}
