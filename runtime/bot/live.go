package bot

import (
	"context"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/command"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/pluginclient"
	"rosey.dev/rosey/runtime/status"
)

// liveInterval is the time between two readings of the files that can change while the bot runs.
const liveInterval = time.Second

// live is the configuration that can change while the bot runs, and what uses it.
type live struct {
	reader   *config.LiveReader
	registry *command.Registry
	// plugins is nil without NATS.
	plugins *pluginclient.Client
	check   *status.Recorder

	mu sync.Mutex
	// files are the hashes of what is in force, by the names of the files.
	files map[string]string
	// problem is what is wrong with a file. configured reports whether there are plugins.
	problem    string
	configured bool
}

// newLive returns the live configuration of a bot. It is in force after the first read.
func (b *Bot) newLive(o Options) *live {
	l := &live{
		reader: config.NewLiveReader(b.config), registry: command.NewRegistry(), files: map[string]string{},
		check: status.NewRecorder(status.PluginsCheck, "reading the configuration of commands and plugins"),
	}
	if o.Conn != nil {
		l.plugins = pluginclient.New(pluginclient.Options{
			Conn: o.Conn, Subjects: o.Subjects, Origin: b.channelOrigin(), Registry: l.registry, Requester: o.Requester,
			Publisher: o.Publisher, EventID: b.ids.Next, Leading: b.leads, Log: o.Log, Registerer: o.Registerer,
		})
	}
	return l
}

// watchLive reads the files until ctx ends.
func (b *Bot) watchLive(ctx context.Context) {
	for {
		b.readLive(ctx)
		if !backoff.Sleep(ctx, b.timings.Live) {
			return
		}
	}
}

// readLive reads the files, and puts what has changed into force.
func (b *Bot) readLive(ctx context.Context) {
	l := b.live
	current, inForce, changed, err := l.reader.Read()
	if changed && inForce {
		l.registry.Configure(current.Commands)
		if l.plugins != nil {
			l.plugins.Configure(current.Plugins)
		}
	}
	problem := ""
	if err != nil {
		problem = status.OneLine(err.Error(), maxProblem)
	}
	l.mu.Lock()
	isNew := problem != l.problem
	l.problem = problem
	if inForce {
		l.configured = len(current.Plugins) > 0
		l.files = hashes(current)
	}
	l.mu.Unlock()
	switch {
	case isNew && problem != "":
		b.log.ErrorContext(ctx, "a changed configuration is not used", "problem", problem)
	case changed && inForce:
		b.log.InfoContext(ctx, "commands and plugins configured", "plugins", len(current.Plugins))
	}
}

// hashes returns the hashes of the files in force, by their names.
func hashes(current config.Live) map[string]string {
	files := map[string]string{}
	for name, hash := range map[string]string{
		config.CommandsFile: current.CommandsHash, config.PluginsFile: current.PluginsHash,
	} {
		if hash != "" {
			files[name] = hash
		}
	}
	return files
}

// LiveFiles returns the hashes of the files in force that can change while the bot runs, by their names.
func (b *Bot) LiveFiles() map[string]string {
	b.live.mu.Lock()
	defer b.live.mu.Unlock()
	return b.live.files
}

// state returns the reason and the message of status.PluginsCheck.
func (l *live) state() (status.Reason, string) {
	l.mu.Lock()
	problem, configured := l.problem, l.configured
	l.mu.Unlock()
	open := ""
	if configured && l.plugins != nil {
		open = l.plugins.NotEnforced()
	}
	switch {
	case problem != "":
		return status.ReasonPluginsInvalid, problem
	case configured && l.plugins == nil:
		return status.ReasonPluginsInvalid, "plugins need NATS, and the bot runs in mode direct"
	case open != "":
		return status.ReasonPermissionsNotEnforced, open
	case configured:
		return status.ReasonReady, "plugins are configured"
	}
	return status.ReasonReady, "no plugins are configured"
}
