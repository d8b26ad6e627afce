package config

import (
	"bytes"
	"errors"
	"fmt"

	"rosey.dev/rosey/runtime/status"
)

// Live is the part of a configuration that can change while the bot runs.
type Live struct {
	Commands Commands
	Plugins  []Plugin
	// CommandsHash and PluginsHash are the first 16 hexadecimal digits of the SHA-256 of the files. Empty: the
	// configuration names no such file.
	CommandsHash, PluginsHash string
}

const (
	// maxCommandsBytes is more than MaxOverrides with all that they can list in most cases need, and maxPluginsBytes is
	// what a ConfigMap can hold.
	maxCommandsBytes = 256 << 10
	maxPluginsBytes  = 1 << 20
)

// LiveReader reads Live. It is not safe for concurrent use.
type LiveReader struct {
	commandsFile, pluginsFile string
	commands, plugins         []byte
	live                      Live
	// read reports whether the files were valid once, or need not be, and asked whether Read was called.
	read, asked bool
}

// NewLiveReader returns the reader for a configuration that was loaded.
func NewLiveReader(c Config) *LiveReader {
	return &LiveReader{
		commandsFile: c.CommandsFile, pluginsFile: c.PluginsFile,
		live: Live{Commands: c.Commands, Plugins: c.Plugins},
		read: c.CommandsFile == "" && c.PluginsFile == "",
	}
}

// Read returns what is in force, and whether anything is: nothing is until both files were valid once. Afterwards an
// invalid file leaves in force what was before; the error says what is wrong with it. changed is true at the first
// read, and whenever something else is in force than at the last one. Read is cheap while the files do not change.
func (r *LiveReader) Read() (live Live, inForce, changed bool, err error) {
	live = r.live
	commands, commandsErr := readLive(r.commandsFile, maxCommandsBytes, r.commands, func(content []byte) (err error) {
		live.Commands, err = ParseCommands(content)
		live.CommandsHash = status.ContentHash(content)
		return err
	})
	plugins, pluginsErr := readLive(r.pluginsFile, maxPluginsBytes, r.plugins, func(content []byte) (err error) {
		live.Plugins, err = ParsePlugins(content)
		live.PluginsHash = status.ContentHash(content)
		return err
	})
	if commandsErr != nil {
		live.Commands, live.CommandsHash = r.live.Commands, r.live.CommandsHash
	}
	if pluginsErr != nil {
		live.Plugins, live.PluginsHash = r.live.Plugins, r.live.PluginsHash
	}
	err = errors.Join(commandsErr, pluginsErr)
	wasInForce := r.read
	r.read = r.read || err == nil
	changed = !r.asked || wasInForce != r.read ||
		live.CommandsHash != r.live.CommandsHash || live.PluginsHash != r.live.PluginsHash
	r.commands, r.plugins, r.live, r.asked = commands, plugins, live, true
	return live, r.read, changed, err
}

// readLive parses the content of a file unless it is what was parsed last, and returns what is parsed now.
func readLive(file string, limit int64, last []byte, parse func([]byte) error) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	content, err := ReadBoundedFile(file, limit)
	switch {
	case err != nil:
		return last, fmt.Errorf("reading the configuration: %w", err)
	case last != nil && bytes.Equal(content, last):
		return last, nil
	}
	if err := parse(content); err != nil {
		return last, fmt.Errorf("configuration %s: %w", file, err)
	}
	return content, nil
}

// ParseCommands returns the section commands in the content of a file, with defaults. Empty content is an error: it may
// be a file that is just being written.
func ParseCommands(content []byte) (Commands, error) {
	config, err := parseSetting(content, "commands", TableKind)
	return config.Commands, err
}

// ParsePlugins returns the list of plugins in the content of a file. Empty content is an error, as for ParseCommands.
func ParsePlugins(content []byte) ([]Plugin, error) {
	config, err := parseSetting(content, "plugins", ListKind)
	return config.Plugins, err
}

// parseSetting returns a Config with defaults and the value of one setting, or one section, which is validated.
func parseSetting(content []byte, path string, kind Kind) (Config, error) {
	value, err := decodeValue(content)
	switch {
	case err != nil:
		return Config{}, err
	case !hasKind(value, kind):
		return Config{}, WrongType(path, value, string(kind))
	}
	d := document{path: value}
	if err := d.check(); err != nil {
		return Config{}, err
	}
	return d.config(status.CLIComponent) // which needs no other setting
}
