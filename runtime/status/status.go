package status

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"runtime/debug"
	"slices"
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

// word is a pattern and a length. In a pattern a length is expensive: for {0,98} every process would have 100 KiB of
// memory, of which most never read a Report.
type word struct {
	pattern *regexp.Regexp
	longest int
}

func (w word) matches(text string) bool { return len(text) <= w.longest && w.pattern.MatchString(text) }

var (
	// validReason is what Kubernetes demands of a condition's reason.
	validReason = word{regexp.MustCompile(`^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$`), 100}
	// validName is what the names of components and checks are.
	validName = word{regexp.MustCompile(`^[a-z][A-Za-z0-9-]*$`), 63}
	// validPodName is what a leader is: the name of a pod or of a host. It cannot be taken for an option of a command.
	validPodName = word{regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`), 253}
)

const (
	// maxVersion, maxMessage and maxChannelName bound the texts of a Report that comes from another process, in
	// characters. A channel's name has that of its server.
	maxVersion     = 100
	maxMessage     = 1000
	maxChannelName = 400
	// maxChecks and maxChannels bound its lists, which need many times their size as JSON. A database service lists at
	// most config.MaxListedChannels.
	maxChecks   = 32
	maxChannels = 256
)

// maxReportSize limits the memory that a server can use up that is no process of the runtime.
const maxReportSize = 64 << 10

// FetchReport requests the Report of a process. The URL ends in StatusPath. The Report must be that of component, or of
// any component if that is empty.
//
// FetchReport returns an error for anything that the operator could not put into the status of a RoseyBot: whatever
// runs in a pod may serve StatusPath. The errors contain no addresses and ports, which differ from pod to pod and from
// attempt to attempt: each new message would be a write of the status.
func FetchReport(ctx context.Context, client *http.Client, url string, component Component) (Report, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return Report{}, fmt.Errorf("invalid address: %w", err)
	}
	response, err := client.Do(request)
	if err != nil {
		return Report{}, errors.New(OneLine(NetworkError(err), maxMessage))
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return Report{}, fmt.Errorf("HTTP status %d", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxReportSize))
	if err != nil {
		return Report{}, errors.New(OneLine(NetworkError(err), maxMessage))
	}
	return ParseReport(body, component)
}

// ParseReport returns the Report in JSON of a process, with the same checks as FetchReport.
func ParseReport(body []byte, component Component) (Report, error) {
	var report Report
	if err := json.Unmarshal(body, &report); err != nil || !validName.matches(string(report.Component)) {
		return Report{}, errors.New("not a status report in JSON")
	}
	if component != "" && report.Component != component {
		return Report{}, fmt.Errorf("a status report of component %q, expected %q", report.Component, component)
	}
	if report.Leader != "" && !validPodName.matches(report.Leader) {
		return Report{}, errors.New("a status report whose leader is not the name of a pod")
	}
	if err := errors.Join(checkLists(&report), checkPlugins(&report)); err != nil {
		return Report{}, err
	}
	reasons := []Reason{report.Reason}
	report.Version, report.Message = OneLine(report.Version, maxVersion), OneLine(report.Message, maxMessage)
	report.Telemetry = OneLine(report.Telemetry, maxMessage)
	for i := range report.Checks {
		check := &report.Checks[i]
		if !validName.matches(string(check.Name)) {
			return Report{}, errors.New("a status report with a check whose name is not a single word")
		}
		check.Message = OneLine(check.Message, maxMessage)
		reasons = append(reasons, check.Reason)
	}
	for _, reason := range reasons {
		if !validReason.matches(string(reason)) {
			return Report{}, errors.New("a status report with a reason that is not a single CamelCase word")
		}
	}
	return report, nil
}

// checkLists returns an error if a report lists more than a process of the runtime does, and makes the reasons for
// refused channels printable.
func checkLists(report *Report) error {
	if len(report.Checks) > maxChecks {
		return fmt.Errorf("a status report with more than %d checks", maxChecks)
	}
	if len(report.Channels)+len(report.RefusedChannels) > maxChannels {
		return fmt.Errorf("a status report with more than %d channels", maxChannels)
	}
	for name, reason := range report.RefusedChannels {
		report.RefusedChannels[name] = OneLine(reason, maxMessage)
	}
	for _, name := range slices.Concat(report.Channels, slices.Collect(maps.Keys(report.RefusedChannels))) {
		if len(name) > maxChannelName || Printable(name) != name {
			return errors.New("a status report with a channel whose name is not a short printable text")
		}
	}
	return nil
}
