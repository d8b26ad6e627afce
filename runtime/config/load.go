package config

import (
	"fmt"
	"os"
	"strings"

	"sigs.k8s.io/yaml"
)

// Load reads a configuration file (YAML or JSON), fills in defaults and checks it for a component.
// An error names the key and what was expected.
func Load(path string, component Component) (Config, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return Config{}, fmt.Errorf("reading the configuration: %w", err)
	}
	config, err := Parse(data, component)
	if err != nil {
		return Config{}, fmt.Errorf("configuration %s: %w", path, err)
	}
	return config, nil
}

// Parse is Load for a file's content. A key that is not known is an error: a setting with a typing
// mistake must not be a setting silently left out.
func Parse(data []byte, component Component) (Config, error) {
	var config Config
	if err := yaml.UnmarshalStrict(data, &config); err != nil {
		return Config{}, fmt.Errorf("decoding YAML: %w", err)
	}
	config.setDefaults()
	if err := config.validate(component); err != nil {
		return Config{}, err
	}
	return config, nil
}

func (c *Config) setDefaults() {
	setDefault(&c.Channel.Server, DefaultServer)
	setDefault(&c.NATS.SubjectPrefix, DefaultSubjectPrefix)
	setDefault(&c.HTTP.Address, DefaultHTTPAddress)
	setDefault(&c.LogLevel, DefaultLogLevel)
	c.Commands.setDefaults()
	c.Channel.Server = strings.ToLower(strings.TrimRight(c.Channel.Server, "/"))
}

func setDefault(field *string, value string) {
	if *field == "" {
		*field = value
	}
}
