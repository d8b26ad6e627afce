package status

import (
	"cmp"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

// The port and the paths of the HTTP server of every process. The operator probes them.
const (
	// HTTPPort is the port of the paths below.
	HTTPPort = 8080
	// PagesPort is the port of the pages for the people of a channel, which WebComponent serves apart from the paths
	// below: only those who run the process are to reach these.
	PagesPort = 8081

	// HealthPath returns 200 while the process is alive at all (liveness).
	HealthPath = "/healthz"
	// ReadyPath returns 200 while Report.Ready is true, else 503 (readiness).
	ReadyPath = "/readyz"
	// StatusPath returns 200 and a Report as JSON, ready or not.
	StatusPath = "/status"
	// StatePath returns the report and what changes every few seconds, as JSON; ProcessPath shows it.
	StatePath = "/state"
	// MetricsPath returns Prometheus metrics.
	MetricsPath = "/metrics"
	// ProcessPath returns a page for who runs the process.
	ProcessPath = "/process"
)

// Component is a kind of process. It determines which settings are required.
type Component string

// The components.
const (
	// BotComponent is the bot in the channel, `rosey bot`.
	BotComponent Component = "bot"
	// DatabaseComponent is the database service, `rosey db`.
	DatabaseComponent Component = "database"
	// RunComponent is bot, database service and NATS in one process, `rosey run`.
	RunComponent Component = "run"
	// WebComponent is the pages for the people of a channel, `rosey web`.
	WebComponent Component = "web"
	// PluginsComponent is all built-in plugins of a channel in one process, `rosey plugin host`.
	PluginsComponent Component = "plugins"
	// PluginComponent is one plugin.
	PluginComponent Component = "plugin"
	// CLIComponent is a command that a user runs by hand, such as `rosey say`. It only needs to find NATS, and has
	// no Report.
	CLIComponent Component = "cli"
)

// Report is the body of StatusPath: whether a process does its job and, if not, why.
//
// Programs may rely on Ready, Reason and the names and reasons of the checks; messages are for people.
type Report struct {
	Component Component `json:"component"`
	Version   string    `json:"version"`
	// Ready is true when every check is OK.
	Ready bool `json:"ready"`
	// Reason and Message are those of the first check that is not OK, or ReasonReady.
	Reason  Reason  `json:"reason"`
	Message string  `json:"message"`
	Checks  []Check `json:"checks"`
	// Leader is the pod of the bot in the channel, as far as this bot knows. Empty without leader election.
	Leader string `json:"leader,omitempty"`
	// Channels are the channels that a database service serves, as ChannelName makes their names.
	Channels []string `json:"channels,omitempty"`
	// RefusedChannels are the channels that its configuration lists and that it does not serve, with the reasons.
	RefusedChannels map[string]string `json:"refusedChannels,omitempty"`
	// StreamWaiting is how many events are in the stream that are not stored yet, as a database service has read it some
	// seconds ago. Nil: it takes its events from no stream.
	StreamWaiting *uint64 `json:"streamWaiting,omitempty"`
	// LastBackup is when the newest backup of an SQLite database was made. Zero: there is none.
	LastBackup time.Time `json:"lastBackup,omitzero"`
	// Telemetry is why traces cannot be sent. Empty: they are sent, or are to be sent nowhere. The process does its job
	// all the same.
	Telemetry string `json:"telemetry,omitempty"`
	// LiveFiles are the hashes, as ContentHash makes them, of the content in force of the files that the process reads
	// while it runs, by the names of the files. A file with invalid content is none of them: the last valid content stays
	// in force.
	LiveFiles map[string]string `json:"liveFiles,omitempty"`
	// Plugins are the plugins that a bot may call, or that PluginsComponent runs.
	Plugins []PluginReport `json:"plugins,omitempty"`
	// Started is when the process started.
	Started time.Time `json:"started"`
}

// ChannelName returns the name of a channel in a Report, the same for all spellings: "https://cytu.be/movies".
func ChannelName(server, name string) string {
	return strings.ToLower(strings.TrimRight(server, "/") + "/" + name)
}

// BuildVersion returns the version of this program for Report.Version: the one that the linker set, else that of the
// module that `go install` built.
func BuildVersion(linked string) string {
	installed := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		installed = info.Main.Version
	}
	return cmp.Or(linked, installed, "(devel)")
}

// CheckName names one thing that a process needs for its job.
type CheckName string

// The checks of the components.
const (
	// ChannelCheck is OK while the bot is in its channel, under its name if it has one.
	ChannelCheck CheckName = "channel"
	// NATSCheck is OK while the process is connected to NATS and has the subscriptions that it needs.
	NATSCheck CheckName = "nats"
	// EventsCheck is OK while events are published as configured: durably, or not.
	EventsCheck CheckName = "events"
	// ServiceCheck is OK while a database service answers the bot.
	ServiceCheck CheckName = "service"
	// StoreCheck is OK while the store of the service is open and takes writes.
	StoreCheck CheckName = "store"
	// TokensCheck says how many people may log in to the pages, whose tokens are refused, and why none can be read. It is
	// always OK: the pages work for everybody else.
	TokensCheck CheckName = "tokens"
	// PluginsCheck says what is wrong with the list of plugins, or with what NATS permits them. It is always OK: the bot
	// works without them.
	PluginsCheck CheckName = "plugins"
)

// Check is the state of one thing that a process needs.
type Check struct {
	Name    CheckName `json:"name"`
	OK      bool      `json:"ok"`
	Reason  Reason    `json:"reason"`
	Message string    `json:"message"`
	// Since is when OK or Reason last changed.
	Since time.Time `json:"since"`
}

// Recorder keeps one check up to date. It is safe for concurrent use.
type Recorder struct {
	mu    sync.Mutex
	check Check
}

// NewRecorder returns a Recorder of a check that is not OK, with ReasonStarting.
func NewRecorder(name CheckName, message string) *Recorder {
	return &Recorder{check: Check{Name: name, Reason: ReasonStarting, Message: message, Since: time.Now()}}
}

// Set changes the state of the check. It makes the message one printable line: a server can have a part in it. It
// reports whether OK or the reason changed, so that the caller can log each change once; a new message alone is no
// change.
func (r *Recorder) Set(ok bool, reason Reason, message string) (changed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	changed = r.check.OK != ok || r.check.Reason != reason
	if changed {
		r.check.Since = time.Now()
	}
	r.check.OK, r.check.Reason, r.check.Message = ok, reason, OneLine(message, maxMessage)
	return changed
}

// Check returns the current state of the check.
func (r *Recorder) Check() Check {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.check
}
