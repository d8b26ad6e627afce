package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/plugin/builtin"
	"rosey.dev/rosey/runtime/plugin/host"
	"rosey.dev/rosey/runtime/status"
)

func newPluginCommand() *cobra.Command {
	names := strings.Join(builtin.Names(), ", ")
	command := &cobra.Command{
		Use:   "plugin",
		Short: "Run the built-in plugins, or show and check the plugins of a channel",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("plugin: expected host, ls, check, or a built-in plugin: " + names)
		},
	}
	command.AddCommand(newPluginHostCommand(), newPluginListCommand(), newPluginCheckCommand())
	for _, name := range builtin.Names() {
		command.AddCommand(newOnePluginCommand(name))
	}
	return command
}

// newOnePluginCommand returns the command that is one built-in plugin alone. It has the flags of every program that is
// a plugin.
func newOnePluginCommand(name string) *cobra.Command {
	return &cobra.Command{
		Use:                name,
		Short:              "Run the plugin " + name + " in a process of its own",
		DisableFlagParsing: true,
		RunE: func(command *cobra.Command, arguments []string) error {
			p, exists := builtin.New(name)
			if !exists {
				return fmt.Errorf("plugin %q: expected one of %s", name, strings.Join(builtin.Names(), ", "))
			}
			err := plugin.Execute(command.Context(), p, arguments, command.OutOrStdout(), command.ErrOrStderr())
			if errors.Is(err, plugin.ErrConfiguration) {
				return err
			}
			return exit.Failed(err)
		},
	}
}

func newPluginHostCommand() *cobra.Command {
	var flags *configFlags
	command := &cobra.Command{
		Use:   "host",
		Short: "Run the built-in plugins of a channel in one process",
		Long: "Run the built-in plugins of a channel in one process, each with a connection to NATS of its own. The list\n" +
			"of plugins is that of the bot. Where a file has it, the file is read again and again: a plugin that has\n" +
			"changed is started again, and no other one notices.",
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			component, err := newComponent(status.PluginsComponent, flags, command.ErrOrStderr())
			if err != nil {
				return err
			}
			return exit.Failed(component.runPluginHost(command.Context()))
		},
	}
	flags = newConfigFlags(command.Flags(), filepath.Join(config.ConfigDir, config.PluginHostFile),
		keysAt("name", "channel.server", "channel.name", "nats.url", "nats.subjectPrefix", "nats.credentialsDir",
			"nats.tlsDir", "plugins", "pluginsFile", "http.address", "telemetry.endpoint", "telemetry.protocol",
			"telemetry.samplingRatio", "telemetry.headersFile", "telemetry.tlsDir", "telemetry.resourceAttributes", "logLevel"))
	return command
}

func (c *component) runPluginHost(ctx context.Context) error {
	plugins := c.newPluginHost(func(ctx context.Context, own bus.PluginSubjects) (*bus.Conn, error) {
		return bus.Connect(ctx, bus.Options{
			URL: c.config.NATS.URL, Name: "rosey plugin " + own.Name + " " + c.config.Channel.Name,
			InboxPrefix: own.InboxPrefix(), CredentialsDir: c.config.NATS.CredentialsDir, TLSDir: c.config.NATS.TLSDir,
			Log: c.log.With("plugin", own.Name),
		})
	}, false)
	return c.run(ctx, workload{
		run: plugins.Run, checks: plugins.Checks(), plugins: plugins.Plugins, liveFiles: plugins.liveFiles,
	})
}

// pluginHost is a host of the built-in plugins that the configuration lists.
type pluginHost struct {
	*host.Host
	list *pluginList
}

// newPluginHost returns a host. connect and inside are those of host.Options.
func (c *component) newPluginHost(
	connect func(ctx context.Context, own bus.PluginSubjects) (*bus.Conn, error), inside bool,
) pluginHost {
	plugins := c.config
	plugins.CommandsFile = "" // what the bot reads
	list := &pluginList{reader: config.NewLiveReader(plugins), file: filepath.Base(c.config.PluginsFile)}
	return pluginHost{list: list, Host: host.New(host.Options{
		Wanted: list.read, Connect: connect, Subjects: c.subjects, Server: c.config.Channel.Server,
		Channel: c.config.Channel.Name, Inside: inside, Log: c.log, Metrics: plugin.NewMetrics(c.registry),
	})}
}

// liveFiles returns the hash of the list in force.
func (p pluginHost) liveFiles() map[string]string {
	hash := p.list.hash()
	if hash == "" {
		return nil
	}
	return map[string]string{p.list.file: hash}
}

// pluginList reads the list of plugins.
type pluginList struct {
	file string

	mu      sync.Mutex
	reader  *config.LiveReader
	inForce string // the hash
}

var errNoPluginList = errors.New("the list of plugins is not there yet")

func (l *pluginList) read() ([]config.Plugin, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	live, inForce, _, err := l.reader.Read()
	if err == nil && !inForce {
		err = errNoPluginList
	}
	if err == nil {
		l.inForce = live.PluginsHash
	}
	return live.Plugins, err
}

func (l *pluginList) hash() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.inForce
}
