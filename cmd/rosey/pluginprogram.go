package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/natsauth"
	"rosey.dev/rosey/runtime/natsserver"
	"rosey.dev/rosey/runtime/platform"
	"rosey.dev/rosey/runtime/plugin/plugintest"
	"rosey.dev/rosey/runtime/status"
)

const (
	// programEnd is how long a program may take to end when it is asked to.
	programEnd = 10 * time.Second
	// byeOnTheWay is how long its last message may take when it has ended.
	byeOnTheWay = time.Second
	// maxProgramOutput bounds what is shown of what a program has written, in bytes.
	maxProgramOutput = 4 << 10
	// maxDenied is how many of the things that the NATS server has denied are shown.
	maxDenied = 5
)

// Names of what is checked of a program.
const (
	saysHello = "starts and says hello"
	saysBye   = "says bye when it is asked to end"
	mayDoAll  = "does only what a plugin may"
)

// programCheck checks a plugin that it starts, in a channel that is in this process: a NATS server with the users and
// permissions that `rosey run` gives to plugins, with everything granted, and what answers the plugin there.
type programCheck struct {
	runningCheck

	own     bus.PluginSubjects
	server  *natsserver.Server
	users   natsUsers
	denials denials
	// hello and bye get a value at the first ones.
	hello, bye chan struct{}

	command *exec.Cmd
	ended   chan struct{} // closed when the program has ended
	output  lastOutput
}

// checkProgram starts a program as a plugin of a name, and checks it. wait is how long it may take to say hello. The
// output of the program is returned if something is wrong.
func checkProgram(
	ctx context.Context, name string, program []string, wait time.Duration,
) (results []pluginCheck, output string, err error) {
	subjects, err := bus.NewSubjects(config.DefaultSubjectPrefix)
	if err != nil {
		return nil, "", err
	}
	own, err := subjects.Plugin(plugintest.ChannelName, name)
	if err != nil {
		return nil, "", err
	}
	dir, remove, err := tempDir("", "rosey-plugin-check-")
	if err != nil {
		return nil, "", err
	}
	defer func() { err = errors.Join(err, remove()) }()
	c := &programCheck{
		runningCheck: runningCheck{subjects: subjects, channel: plugintest.ChannelName, call: true}, own: own,
		hello: make(chan struct{}, 1), bye: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	if err := c.startServer(dir); err != nil {
		return nil, "", err
	}
	defer c.server.Stop()
	err = c.run(ctx, program, wait)
	switch {
	case ctx.Err() != nil:
		return nil, "", errors.New("interrupted")
	case err != nil:
		return nil, "", err
	}
	if slices.ContainsFunc(c.results, func(one pluginCheck) bool { return !one.OK }) {
		output = c.output.String()
	}
	return c.results, output, nil
}

// startServer starts a NATS server with a user for this process and one for the plugin.
func (c *programCheck) startServer(dir string) error {
	c.users = natsUsers{dir: dir, inside: natsserver.User{Name: insideUser, Password: rand.Text()}}
	options := natsauth.Options{
		Subjects: c.subjects, JetStream: config.JetStreamNever, Commands: true, People: true,
		Plugins: []natsauth.Plugin{{Channel: c.channel, Name: c.own.Name, Grants: allGrants()}},
	}
	permissions := serverPermissions(options.For(bus.PluginRole))
	permissions.Subscribe = append(permissions.Subscribe,
		c.subjects.Subject(bus.FeedOf(c.channel))+" "+c.own.QueueGroup())
	if err := c.users.add(c.own.Name, permissions); err != nil {
		return err
	}
	server, err := natsserver.Start(natsserver.Options{
		Listen: "127.0.0.1:0", Users: c.users.all(), Log: slog.New(&c.denials),
	})
	c.server = server
	return err
}

// allGrants returns grants for everything but events, which have no list.
func allGrants() config.PluginGrants {
	all := config.PluginGrants{Say: true, Queue: true}
	for _, thing := range bus.PluginThings {
		all.State = append(all.State, string(thing))
	}
	for _, verb := range bus.PluginVerbs {
		all.Act = append(all.Act, config.ActGrant{Verb: string(verb)})
	}
	return all
}

// run starts the program, checks it and ends it.
func (c *programCheck) run(ctx context.Context, program []string, wait time.Duration) (err error) {
	c.conn, err = bus.Connect(ctx, bus.Options{
		URL: natsserver.Name, InProcess: c.server, Name: "rosey plugin check",
		InboxPrefix: c.subjects.InboxPrefix(bus.BotRole), Username: c.users.inside.Name,
		Password: c.users.inside.Password, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	defer c.conn.Close()
	var channel exampleCheck
	channel.run(func() {
		plugintest.Attend(&channel, c.conn, c.subjects, c.own.Name)
		err = c.await(ctx, program, wait)
	})
	for _, problem := range channel.found() {
		c.add(c.own.Name, mayDoAll, errors.New(problem), "")
	}
	return err
}

// await starts the program, waits for its hello, and checks and ends it.
func (c *programCheck) await(ctx context.Context, program []string, wait time.Duration) error {
	for subject, first := range map[string]chan struct{}{c.own.Hello(): c.hello, c.own.Bye(): c.bye} {
		if _, err := c.conn.NATS().Subscribe(subject, func(*nats.Msg) {
			select {
			case first <- struct{}{}:
			default: // it has come before
			}
		}); err != nil {
			return fmt.Errorf("subscribing to %s: %w", subject, err)
		}
	}
	if err := c.start(program); err != nil {
		c.add(c.own.Name, saysHello, err, "")
		return nil
	}
	defer c.kill()
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.ended:
		c.addEarlyEnd(saysHello)
		c.addDenials()
		return nil
	case <-timeout.C:
		c.add(c.own.Name, saysHello, fmt.Errorf("no hello within %s on %s, without which a bot finds it late", wait,
			c.own.Hello()), "")
		c.addDenials()
		return c.check(ctx, c.own.Name)
	case <-c.hello:
		c.add(c.own.Name, saysHello, nil, "")
	}
	if err := c.check(ctx, c.own.Name); err != nil {
		return err
	}
	if !c.addDenials() {
		c.add(c.own.Name, mayDoAll, nil, "")
	}
	return c.end(ctx)
}

// addEarlyEnd notes that the program has ended before it did what was expected.
func (c *programCheck) addEarlyEnd(expected string) {
	c.add(c.own.Name, expected, fmt.Errorf("it has ended before: %s", c.command.ProcessState), "")
}

// start starts the program with the environment variables that plugins get, and none of this process that say where
// another plugin is.
func (c *programCheck) start(program []string) error {
	c.command = exec.Command(program[0], program[1:]...) //nolint:gosec,noctx // who calls names it; end and kill end it
	inherited := slices.DeleteFunc(os.Environ(), func(one string) bool { return strings.HasPrefix(one, "ROSEY_") })
	c.command.Env = append(inherited,
		"ROSEY_NATS_URL="+c.server.URL(), "ROSEY_NATS_CREDENTIALS_DIR="+c.users.credentialsDir(c.own.Name),
		"ROSEY_NATS_SUBJECT_PREFIX="+c.subjects.Prefix(), "ROSEY_CHANNEL_NAME="+c.channel,
		"ROSEY_CHANNEL_SERVER="+plugintest.ServerURL, "ROSEY_PLUGIN_NAME="+c.own.Name, "ROSEY_HTTP_ADDRESS=127.0.0.1:0")
	c.command.Stdout, c.command.Stderr = &c.output, &c.output
	c.command.WaitDelay = programEnd
	platform.OwnGroup(c.command)
	if err := c.command.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", program[0], err)
	}
	go func() {
		defer close(c.ended)
		_ = c.command.Wait() // ProcessState says how it has ended
	}()
	return nil
}

// kill ends what is left of the program, and waits for it.
func (c *programCheck) kill() {
	_ = platform.Kill(c.command.Process) // there is nobody left to tell
	<-c.ended
}

// end asks the program to end, notes whether it says bye, and gives it the time to end by itself.
func (c *programCheck) end(ctx context.Context) error {
	select {
	case <-c.ended:
		c.addEarlyEnd(saysBye)
		return nil
	default:
	}
	err := platform.Terminate(c.command.Process)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return nil
	case err != nil: // it ends just now
		<-c.ended
		c.addEarlyEnd(saysBye)
		return nil //nolint:nilerr // the result has it
	}
	return c.awaitBye(ctx)
}

// awaitBye waits for the bye and the end of the program, and notes whether it has said bye.
func (c *programCheck) awaitBye(ctx context.Context) error {
	timeout := time.NewTimer(programEnd)
	defer timeout.Stop()
	hasEnded := c.ended
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.bye:
			c.add(c.own.Name, saysBye, nil, "")
			select {
			case <-ctx.Done():
			case <-c.ended:
			case <-timeout.C:
			}
			return nil
		case <-hasEnded:
			hasEnded = nil
			timeout.Reset(byeOnTheWay)
		case <-timeout.C:
			c.add(c.own.Name, saysBye, fmt.Errorf("no bye on %s: a bot takes it for there until it answers no ping",
				c.own.Bye()), "")
			return nil
		}
	}
}

// addDenials notes what the NATS server has denied, and reports whether there is anything.
func (c *programCheck) addDenials() (isDenied bool) {
	all := c.denials.all(c.own)
	for _, one := range all[:min(len(all), maxDenied)] {
		c.add(c.own.Name, mayDoAll, errors.New("the NATS server has denied it a "+one), "")
	}
	return len(all) > 0
}

// denials are what a NATS server logs that it has denied. It is a slog.Handler.
type denials struct {
	mu   sync.Mutex
	seen []string
}

var denial = regexp.MustCompile(`(Publish|Subscription) Violation - .*Subject "([^"]*)"`)

// Enabled implements slog.Handler.
func (d *denials) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }

// Handle implements slog.Handler.
func (d *denials) Handle(_ context.Context, record slog.Record) error {
	if parts := denial.FindStringSubmatch(record.Message); parts != nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		one := strings.ToLower(parts[1]) + " " + parts[2]
		if len(d.seen) < 100*maxDenied && !slices.Contains(d.seen, one) {
			d.seen = append(d.seen, one)
		}
	}
	return nil
}

// WithAttrs implements slog.Handler.
func (d *denials) WithAttrs([]slog.Attr) slog.Handler { return d }

// WithGroup implements slog.Handler.
func (d *denials) WithGroup(string) slog.Handler { return d }

// all returns what was denied without what libraries try that can do without it: to be asked together with all other
// services, and, by which the SDK finds out whether permissions are enforced, to receive what is for another plugin.
func (d *denials) all(own bus.PluginSubjects) []string {
	harmless := []string{own.Foreign()}
	for _, verb := range []micro.Verb{micro.PingVerb, micro.InfoVerb, micro.StatsVerb} {
		harmless = append(harmless, fmt.Sprintf("%s.%s", micro.APIPrefix, verb))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(d.seen), func(one string) bool {
		what, subject, _ := strings.Cut(one, " ")
		return what == "subscription" && slices.Contains(harmless, subject)
	})
}

// lastOutput is the end of what a program has written.
type lastOutput struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (t *lastOutput) Write(text []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, text...)
	t.text = t.text[max(0, len(t.text)-maxProgramOutput):]
	return len(text), nil
}

// String returns printable lines. Empty: the program has written nothing.
func (t *lastOutput) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out strings.Builder
	for line := range bytes.Lines(t.text) {
		if text := status.Printable(strings.TrimSpace(string(line))); text != "" {
			fmt.Fprintf(&out, "    %s\n", text)
		}
	}
	return out.String()
}
