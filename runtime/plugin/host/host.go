// Package host runs the built-in plugins of a channel in one process: `rosey plugin host` and `rosey run`. Each has a
// connection to NATS of its own. The list of them is read while they run: what is new in it is started, what is gone
// from it ends, and what has changed is started again, and no other plugin notices.
package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/plugin/builtin"
	"rosey.dev/rosey/runtime/status"
)

// Options configure a Host. All but Metrics are required.
type Options struct {
	// Wanted returns the plugins of the channel. Those that are not built in are left out. It is called every second. With
	// an error, the plugins run on as they are.
	Wanted func() ([]config.Plugin, error)
	// Connect returns a connection to NATS for a plugin, with its inboxes.
	Connect  func(ctx context.Context, own bus.PluginSubjects) (*bus.Conn, error)
	Subjects bus.Subjects
	// Server and Channel are those of plugin.Options.
	Server, Channel string
	// Inside is plugin.Options.Inside.
	Inside  bool
	Log     *slog.Logger
	Metrics *plugin.Metrics
}

// Host runs built-in plugins. Its methods may be called while it runs.
type Host struct {
	options Options
	new     func(builtin string) (*plugin.Plugin, bool)

	tasks sync.WaitGroup // the plugins that have not ended

	mu      sync.Mutex
	running map[string]*running // by the name in the channel
	// ending are those that are not wanted any more and have not ended, by their names: one that is wanted again waits.
	ending  map[string]*running
	problem string // of Wanted
}

// running is a plugin that is to run.
type running struct {
	wanted config.Plugin
	stop   context.CancelFunc
	done   chan struct{} // closed when it has ended

	mu      sync.Mutex
	plugin  *plugin.Plugin // nil between two attempts
	failure string         // of the last attempt; empty: none
}

// New returns a Host that runs nothing yet.
func New(o Options) *Host {
	return &Host{options: o, new: builtin.New, running: map[string]*running{}, ending: map[string]*running{}}
}

const (
	// listInterval is the time between two looks at the list.
	listInterval = time.Second
	// minPause and maxPause bound the time until a plugin that has failed is started again.
	minPause, maxPause = time.Second, time.Minute
	// settled is how long a plugin runs until its next failure is a first one again.
	settled    = 5 * time.Minute
	maxFailure = 300
)

// Run runs the plugins until ctx ends, and returns when all have ended.
func (h *Host) Run(ctx context.Context) error {
	for {
		wanted, err := h.options.Wanted()
		h.note(ctx, err)
		if err == nil {
			h.apply(ctx, wanted)
		}
		if !backoff.Sleep(ctx, listInterval) {
			break
		}
	}
	h.tasks.Wait() // their contexts have ended with ctx
	return nil
}

// note remembers and logs that the list cannot be read.
func (h *Host) note(ctx context.Context, err error) {
	text := ""
	if err != nil {
		text = status.OneLine(err.Error(), maxFailure)
	}
	h.mu.Lock()
	changed := text != h.problem
	h.problem = text
	h.mu.Unlock()
	if changed && text != "" {
		h.options.Log.WarnContext(ctx, "the list of plugins cannot be used: they run on as they are", "error", text)
	}
}

// apply starts, ends and changes plugins.
func (h *Host) apply(ctx context.Context, all []config.Plugin) {
	wanted := map[string]config.Plugin{}
	for _, one := range all {
		if one.Builtin != "" {
			wanted[one.Name] = one
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, one := range h.running {
		if _, still := wanted[name]; !still {
			one.stop()
			delete(h.running, name)
			h.ending[name] = one
			h.options.Log.InfoContext(ctx, "a plugin ends: it is not in the list any more", "plugin", name)
		}
	}
	for name, one := range wanted {
		before, exists := h.running[name]
		if exists && before.wanted.Builtin == one.Builtin && maps.Equal(before.wanted.Config, one.Config) {
			continue
		}
		if !exists {
			before = h.ending[name]
		}
		h.start(ctx, one, before)
	}
}

// start starts a plugin, after the one of the same name has ended, if there is one.
func (h *Host) start(ctx context.Context, wanted config.Plugin, before *running) {
	ctx, stop := context.WithCancel(ctx)
	next := &running{wanted: wanted, stop: stop, done: make(chan struct{})}
	h.running[wanted.Name] = next
	if before != nil {
		before.stop()
	}
	h.tasks.Go(func() {
		defer h.ended(next)
		defer stop()
		if before != nil {
			<-before.done
		}
		h.supervise(ctx, next)
	})
}

// ended notes that a plugin has ended.
func (h *Host) ended(one *running) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ending[one.wanted.Name] == one {
		delete(h.ending, one.wanted.Name)
	}
	close(one.done)
}

// supervise runs a plugin until ctx ends, again and again if it fails.
func (h *Host) supervise(ctx context.Context, one *running) {
	pause := backoff.Backoff{Min: minPause, Max: maxPause}
	for ctx.Err() == nil {
		started := time.Now()
		err := h.runOnce(ctx, one)
		if time.Since(started) > settled {
			pause.Reset() // it is another failure, and not the next one of a row
		}
		if ctx.Err() != nil {
			if err != nil {
				h.options.Log.WarnContext(ctx, "a plugin did not end in good order", "plugin", one.wanted.Name, "error", err)
			}
			return
		}
		if err == nil {
			err = errors.New("it has ended by itself") // impossible
		}
		one.set(nil, status.OneLine(err.Error(), maxFailure))
		h.options.Log.ErrorContext(ctx, "a plugin has failed; it is started again", "plugin", one.wanted.Name, "error", err)
		backoff.Sleep(ctx, pause.Next())
	}
}

func (h *Host) runOnce(ctx context.Context, one *running) error {
	p, exists := h.new(one.wanted.Builtin)
	if !exists {
		return fmt.Errorf("builtin %q: expected one of %s", one.wanted.Builtin, strings.Join(builtin.Names(), ", "))
	}
	own, err := h.options.Subjects.Plugin(h.options.Channel, one.wanted.Name)
	if err != nil {
		return err
	}
	conn, err := h.options.Connect(ctx, own)
	if err != nil {
		return err
	}
	defer conn.Close()
	one.set(p, "")
	return p.Run(ctx, plugin.Options{
		Conn: conn, Subjects: h.options.Subjects, Server: h.options.Server, Channel: h.options.Channel,
		Name: one.wanted.Name, Settings: plugin.FixedSettings(one.wanted.Config), Log: h.options.Log,
		Inside:  h.options.Inside,
		Metrics: h.options.Metrics,
	})
}

func (r *running) set(p *plugin.Plugin, failure string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plugin, r.failure = p, failure
}

func (r *running) report() status.PluginReport {
	r.mu.Lock()
	defer r.mu.Unlock()
	report := status.PluginReport{Name: r.wanted.Name, Reason: status.ReasonStarting, Message: "the plugin is starting"}
	switch {
	case r.plugin != nil:
		check := r.plugin.Check()
		report.OK, report.Reason, report.Message = check.OK, check.Reason, check.Message
	case r.failure != "":
		report.Reason, report.Message = status.ReasonPluginFailed, r.failure
	}
	return report
}

// Plugins returns the state of each plugin, by their names.
func (h *Host) Plugins() []status.PluginReport {
	h.mu.Lock()
	all := slices.Collect(maps.Values(h.running))
	h.mu.Unlock()
	var reports []status.PluginReport
	for _, one := range all {
		reports = append(reports, one.report())
	}
	slices.SortFunc(reports, func(a, b status.PluginReport) int { return strings.Compare(a.Name, b.Name) })
	return reports
}

// Checks returns the checks of a process that is there for the plugins alone: the list, and then each plugin that does
// not work.
func (h *Host) Checks() []func() status.Check {
	list := status.NewRecorder(status.PluginsCheck, "the list of plugins has not been read")
	return []func() status.Check{func() status.Check {
		ok, reason, message := h.state()
		list.Set(ok, reason, message)
		return list.Check()
	}}
}

func (h *Host) state() (ok bool, reason status.Reason, message string) {
	h.mu.Lock()
	problem := h.problem
	h.mu.Unlock()
	if problem != "" {
		return false, status.ReasonPluginsInvalid, problem
	}
	reports := h.Plugins()
	for _, one := range reports {
		if !one.OK {
			return false, one.Reason, "plugin " + one.Name + ": " + one.Message
		}
	}
	return true, status.ReasonReady, fmt.Sprintf("%d built-in plugins run", len(reports))
}
