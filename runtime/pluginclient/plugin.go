package pluginclient

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/command"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// What a plugin may do in a time: a burst, and then so many in a second.
const (
	requestsBurst, requestsRate = 60, 30
	linesBurst, linesRate       = 10, 1
	actsBurst, actsRate         = 10, 2
	problemInterval             = time.Minute // between two log lines about a plugin's problems
)

// plugin is a plugin that is configured.
type plugin struct {
	client   *Client
	name     string
	subjects bus.PluginSubjects
	// looks gets a value when the plugin is to be looked for.
	looks chan struct{}
	// requestLimit, lineLimit and actLimit are its rates. Only lines that it says by itself count.
	requestLimit, lineLimit, actLimit *rate.Limiter
	requests                          *memory

	mu     sync.Mutex
	grants config.PluginGrants
	// cancel ends run. Nil: it does not run. stopped: it shall not.
	cancel  context.CancelFunc
	stopped bool
	// instances are the processes that answer, by their IDs, and commands those that they or the last ones offer.
	instances map[string]Instance
	commands  []bus.PluginCommand
	// found is what is wrong with what the plugin offers, and failure why it could not be called last.
	found     []string
	failure   string
	loggedAt  time.Time
	available bool
	looked    bool // once since run began
	// saidHello is whether the plugin has said hello since the last look began, asked whether it had before that, and deaf
	// whether nobody answered the last look although it had.
	saidHello, asked, deaf bool
	// left are the processes that have said bye since the look in progress began.
	left map[string]bool
	// calls are those in progress and those of the last minutes, by their IDs.
	calls map[string]*call
}

func newPlugin(c *Client, name string, subjects bus.PluginSubjects) *plugin {
	return &plugin{
		client: c, name: name, subjects: subjects, looks: make(chan struct{}, 1),
		requestLimit: rate.NewLimiter(requestsRate, requestsBurst), lineLimit: rate.NewLimiter(linesRate, linesBurst),
		actLimit: rate.NewLimiter(actsRate, actsBurst),
		requests: newMemory(), calls: map[string]*call{},
	}
}

func (p *plugin) setGrants(grants config.PluginGrants) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.grants = grants
}

func (p *plugin) granted() config.PluginGrants {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.grants
}

// run looks for the plugin and serves its requests until ctx ends or stop is called.
func (p *plugin) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p.mu.Lock()
	p.cancel = cancel
	stopped := p.stopped
	p.mu.Unlock()
	if stopped {
		return
	}
	var serving sync.WaitGroup
	defer serving.Wait()
	serving.Go(func() { p.serve(ctx) })
	p.discover(ctx)
}

// stop ends run and the calls in progress, for a plugin that is configured no more.
func (p *plugin) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	if p.cancel != nil {
		p.cancel()
	}
	for _, one := range p.calls {
		one.cancel(errRemoved)
	}
}

// wake has the plugin looked for.
func (p *plugin) wake() {
	select {
	case p.looks <- struct{}{}:
	default: // it is about to be
	}
}

// forget forgets what is only known while the bot leads.
func (p *plugin) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.instances, p.available, p.looked = nil, false, false
	p.saidHello, p.asked, p.deaf = false, false, false
	clear(p.calls)
}

// offered returns what the Registry has to know.
func (p *plugin) offered() command.Plugin {
	p.mu.Lock()
	defer p.mu.Unlock()
	return command.Plugin{Name: p.name, Available: p.available, Commands: p.commands}
}

// setInstances sets the processes that answer, and reports whether one did before, and whether what is offered is now
// another. change returns them, with the plugin's lock held: a process can say bye while another one is found. It
// returns a new map, or false if nothing is new.
func (p *plugin) setInstances(
	change func() (now map[string]Instance, isNews bool),
) (wasAvailable, changed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, commands := p.available, p.commands
	instances, isNews := change()
	if !isNews {
		return before, false
	}
	p.client.metrics.setAvailable(p.name, len(instances))
	for id := range instances {
		if _, known := p.instances[id]; !known {
			p.failure = "" // it is that of another process
		}
	}
	p.instances, p.available, p.looked = instances, len(instances) > 0, true
	if p.available {
		p.commands, p.found = merge(instances)
	}
	return before, before != p.available || !slices.EqualFunc(commands, p.commands, equalCommands)
}

// merge returns the commands that processes of a plugin offer, and what is wrong with them. While a plugin is replaced
// by another version there are two, and each call goes to one that offers its command.
func merge(instances map[string]Instance) (commands []bus.PluginCommand, problems []string) {
	seen := map[string]bool{}
	for _, id := range slices.Sorted(maps.Keys(instances)) {
		for _, one := range instances[id].Commands {
			if !seen[one.Name] && len(commands) < bus.MaxPluginCommands {
				seen[one.Name] = true
				commands = append(commands, one)
			}
		}
		for _, problem := range instances[id].Problems {
			if !slices.Contains(problems, problem) {
				problems = append(problems, problem)
			}
		}
	}
	return commands, problems
}

// knows reports whether the processes with these IDs are the ones that are known.
func (p *plugin) knows(ids map[string]bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(ids) != len(p.instances) {
		return false
	}
	for id := range ids {
		if _, known := p.instances[id]; !known {
			return false
		}
	}
	return true
}

// setFailure notes why a call failed, for the status. Empty: it worked.
func (p *plugin) setFailure(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.failure = text
}

// mayWarn reports whether a problem is to be logged: a plugin may have one all the time.
func (p *plugin) mayWarn() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	isDue := time.Since(p.loggedAt) >= problemInterval
	if isDue {
		p.loggedAt = time.Now()
	}
	return isDue
}

// report returns what the status says of the plugin.
func (p *plugin) report(leads bool) status.PluginReport {
	typed, conflicts := p.client.Registry.Offered(p.name)
	isCalled := p.client.Registry.Calls(p.name)
	p.mu.Lock()
	defer p.mu.Unlock()
	r := status.PluginReport{
		Name: p.name, OK: p.available && isCalled, Reason: status.ReasonReady,
		Commands: typed[:min(len(typed), status.MaxReportedCommands)],
	}
	problems := slices.Concat(conflicts, p.found)
	if p.failure != "" {
		problems = append(problems, p.failure)
	}
	switch {
	case !p.looked:
		r.Reason = status.ReasonStarting
		if !leads {
			problems = []string{"only the bot in the channel looks for it"}
		}
	case !p.available && p.client.mayNotAsk(p):
		r.Reason = status.ReasonNATSPermissionMissing
		problems = append([]string{fmt.Sprintf("the bot's NATS user may not publish to %q", p.infoSubject())}, problems...)
	case !p.available && p.deaf:
		r.Reason = status.ReasonPluginAbsent
		problems = append([]string{fmt.Sprintf("the plugin says hello and does not answer on %q: its NATS user may lack the "+
			"permission to subscribe to it", p.infoSubject())}, problems...)
	case !p.available:
		r.Reason = status.ReasonPluginAbsent
		problems = append([]string{"no process of the plugin answers"}, problems...)
	case !isCalled: // it was found a moment ago
		r.Reason = status.ReasonStarting
	case len(conflicts) > 0:
		r.Reason = status.ReasonPluginConflict
	}
	r.Message = status.OneLine(strings.Join(problems, "; "), maxReport)
	return r
}

// maxReport bounds the message of a report, in characters.
const maxReport = 500

// Reports returns what the bot knows of its plugins, in the order of the configuration.
func (c *Client) Reports() []status.PluginReport {
	reports := []status.PluginReport{}
	leads := c.Leading()
	for _, p := range c.all() {
		reports = append(reports, p.report(leads))
	}
	return reports
}

// NotEnforced returns why NATS does not keep plugins from doing what they are not granted, as far as that is known, and
// "" if it does. Whether a user has the permissions that it should have, only the plugin can find out.
func (c *Client) NotEnforced() (why string) {
	if c.Conn.Connected() && !c.Conn.NATS().AuthRequired() {
		return "the NATS server has no users, so that anybody who reaches it can act as any plugin"
	}
	var open []string
	for _, p := range c.all() {
		if p.isOpen() {
			open = append(open, p.name)
		}
	}
	if len(open) == 0 {
		return ""
	}
	return fmt.Sprintf("the NATS user of %s may receive what is for other plugins: its permissions are missing or too "+
		"wide", strings.Join(open, ", "))
}

// isOpen reports whether a process of the plugin may receive what is for others.
func (p *plugin) isOpen() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, one := range p.instances {
		if one.IsOpen {
			return true
		}
	}
	return false
}
