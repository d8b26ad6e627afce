package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/plugin"
)

const (
	// floodName is the plugin that floods and hangs.
	floodName = "flood"
	// pluginPause is the time between two commands. Plugins have half of what CyTube's flood limit accepts.
	pluginPause = 300 * time.Millisecond
	// floodInterval is the time between two bursts of floodBurst requests to say something: 1,000 a second.
	floodInterval, floodBurst = 10 * time.Millisecond, 10
)

// pluginBotConfig is the configuration of the bot, to which the addresses are added.
const pluginBotConfig = `channel: {server: %q, name: %s}
account: {username: %s, passwordFile: %q}
http: {address: "127.0.0.1:0"}
nats: {url: %q}
commands: {cooldownSeconds: 0, overrides: {roll: {cooldown: {userSeconds: 0}}}}
plugins: [{name: dice, builtin: dice}, {name: ` + floodName + `, grants: {say: true}}]
`

// measurePlugin measures a command of a plugin beside one of the bot and a bare request, the memory of plugins at rest,
// and the bot's answers while a plugin floods and hangs.
func measurePlugin(ctx context.Context, b *bench) (err error) {
	w, err := b.newWorld(false)
	if err != nil {
		return err
	}
	defer w.close()
	bot, end, err := b.startPlugins(ctx, w)
	defer func() { err = errors.Join(err, end()) }()
	if err != nil {
		return err
	}
	if err := w.channel().Join(speaker); err != nil {
		return fmt.Errorf("joining: %w", err)
	}
	if err := b.pluginCalls(ctx, w); err != nil {
		return err
	}
	if err := b.answers(ctx, w, "quiet"); err != nil {
		return err
	}
	flood, err := startSelf(ctx, "-flood", w.nats.ClientURL(), "-site", w.site.URL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endSelf(flood)) }()
	if err := w.hang(ctx, bot); err != nil {
		return err
	}
	return b.answers(ctx, w, "a plugin floods and hangs")
}

// startPlugins starts a service, the bot and the plugin dice, and reports the memory of plugins at rest.
func (b *bench) startPlugins(ctx context.Context, w *world) (bot *process, end func() error, err error) {
	var running []*process
	end = func() (err error) {
		for i := range running {
			err = errors.Join(err, running[len(running)-1-i].end())
		}
		return err
	}
	secret, err := b.file(password)
	if err != nil {
		return nil, end, err
	}
	file, err := b.file(fmt.Sprintf(pluginBotConfig, w.site.URL, channelName, account, secret, w.nats.ClientURL()))
	if err != nil {
		return nil, end, err
	}
	common := []string{
		"--nats", w.nats.ClientURL(), "--server", w.site.URL, "--channel", channelName, "--http", "127.0.0.1:0",
	}
	for _, arguments := range [][]string{
		append([]string{"db", "--database", b.newDatabase()}, common...),
		{"bot", "--config", file},
		append([]string{"plugin", "dice"}, common...),
		append([]string{"plugin", "host", "--plugins", "[{name: countdown, builtin: countdown}, " +
			"{name: custom, builtin: custom}, {name: quotes, builtin: quotes}]"}, common...),
	} {
		one, err := b.start(ctx, arguments...)
		if err != nil {
			return nil, end, err
		}
		running = append(running, one)
		if err := one.untilReady(ctx); err != nil {
			return nil, end, err
		}
	}
	bot = running[1]
	if err := untilFound(ctx, bot, "dice"); err != nil {
		return nil, end, err
	}
	time.Sleep(b.idleFor)
	for i, name := range []string{"one plugin", "the host of three plugins"} {
		for _, each := range [][2]string{
			{"resident memory", "VmRSS"}, {"resident memory without the program file", "RssAnon"},
		} {
			used, err := running[2+i].memory(each[1])
			if err != nil {
				return nil, end, err
			}
			b.report(name+" at rest: "+each[0], used, "MiB", "")
		}
	}
	return bot, end, nil
}

// untilFound waits until the bot knows a process of a plugin.
func untilFound(ctx context.Context, bot *process, name string) error {
	return until(ctx, "the plugin "+name, func() (bool, error) {
		count, err := bot.metric(ctx, fmt.Sprintf("rosey_bot_plugin_processes{plugin=%q}", name))
		return count == 1, err
	})
}

// pluginCalls sends bare requests, and gives commands of the bot and of a plugin by private message, in turn.
func (b *bench) pluginCalls(ctx context.Context, w *world) (err error) {
	echo, err := startSelf(ctx, "-echo", w.nats.ClientURL())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endSelf(echo)) }()
	conn, err := nats.Connect(w.nats.ClientURL())
	if err != nil {
		return fmt.Errorf("connecting to NATS: %w", err)
	}
	defer conn.Close()
	asked := []struct {
		name string
		do   func() error
	}{
		{"a bare request", func() error { return waitForResponder(ctx, conn, echoSubject, "hello") }},
		{"a command of the bot", func() error { return w.ask(ctx, "current") }},
		{"a command of a plugin", func() error { return w.ask(ctx, "!roll 1d1") }},
	}
	took := make([][]float64, len(asked))
	for n := range b.said {
		for i, each := range asked {
			one, err := milliseconds(each.do)
			if err != nil {
				return err
			}
			took[i] = append(took[i], one)
			time.Sleep(pluginPause)
		}
		b.progress("%d of %d commands", n, b.said)
	}
	for _, part := range []int{50, 99} {
		for i, each := range asked {
			b.report(fmt.Sprintf("%s: p%d", each.name, part), percentile(took[i], part), "ms", "")
		}
	}
	more := percentile(took[2], 50) - percentile(took[1], 50)
	b.report("a plugin's beside the bot's: more, p50", max(more, 0.001), "ms", "a bare request: p50")
	return nil
}

// answers gives commands of the bot in the chat and by private message.
func (b *bench) answers(ctx context.Context, w *world, while string) error {
	var help, private []float64
	for n := range (b.said + 1) / 2 {
		for _, each := range []struct {
			took *[]float64
			do   func() error
		}{
			{&help, func() error { return w.askHelp(ctx) }},
			{&private, func() error { return w.ask(ctx, "current") }},
		} {
			one, err := milliseconds(each.do)
			if err != nil {
				return err
			}
			*each.took = append(*each.took, one)
			time.Sleep(saidPause)
		}
		b.progress("%s: %d of %d commands", while, n, b.said)
	}
	for _, part := range []int{50, 99} {
		b.report(fmt.Sprintf("!help, %s: p%d", while, part), percentile(help, part), "ms", "")
		b.report(fmt.Sprintf("a private message, %s: p%d", while, part), percentile(private, part), "ms", "")
	}
	return nil
}

// askHelp gives !help in the chat, and returns when the bot has answered.
func (w *world) askHelp(ctx context.Context) error {
	asked, err := w.channel().Say(speaker, "!help")
	if err != nil {
		return fmt.Errorf("asking for help: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	_, err = w.channel().WaitFor(ctx, asked.Seq, func(e simulator.Entry) bool {
		return e.Kind == simulator.KindChat && e.User == account && strings.HasPrefix(e.Text, "Commands:")
	})
	if err != nil {
		return fmt.Errorf("waiting for help: %w", err)
	}
	return nil
}

// hang waits until the plugin floods, and has as many people call it as it takes: it answers none.
func (w *world) hang(ctx context.Context, bot *process) error {
	if err := untilFound(ctx, bot, floodName); err != nil {
		return err
	}
	for n := range bus.MaxPluginCalls {
		name := fmt.Sprintf("caller%d", n)
		if err := w.channel().Join(name); err != nil {
			return fmt.Errorf("joining: %w", err)
		}
		if _, err := w.channel().Say(name, "!hang"); err != nil {
			return fmt.Errorf("calling the plugin: %w", err)
		}
	}
	return until(ctx, "the flood", func() (bool, error) {
		dropped, err := bot.metric(ctx, fmt.Sprintf(
			"rosey_bot_plugin_requests_total{outcome=%q,plugin=%q,request=%q}", "dropped", floodName, "say"))
		return dropped > 0, err
	})
}

// serveFlood is a plugin that says as much as it can and never answers, until ctx ends.
func serveFlood(ctx context.Context, url, site string) error {
	subjects, err := bus.NewSubjects(prefix)
	if err != nil {
		return err
	}
	own, err := subjects.Plugin(channelName, floodName)
	if err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	conn, err := bus.Connect(ctx, bus.Options{URL: url, InboxPrefix: own.InboxPrefix(), Log: log})
	if err != nil {
		return err
	}
	defer conn.Close()
	p := plugin.New(floodName, "1.0.0")
	p.Command(plugin.Command{Name: "hang", Timeout: bus.MaxPluginTimeout},
		func(ctx context.Context, _ *plugin.Call) (plugin.Reply, error) {
			<-ctx.Done()
			return plugin.Reply{}, ctx.Err()
		})
	var flooding sync.WaitGroup
	defer flooding.Wait()
	flooding.Go(func() { flood(ctx, conn.NATS(), own) })
	return p.Run(ctx, plugin.Options{Conn: conn, Subjects: subjects, Server: site, Channel: channelName, Log: log})
}

// flood requests to say lines until ctx ends.
func flood(ctx context.Context, conn *nats.Conn, own bus.PluginSubjects) {
	inbox := conn.NewInbox()
	for n, ticker := 0, time.NewTicker(floodInterval); ctx.Err() == nil; <-ticker.C {
		for range floodBurst {
			n++
			data, err := bus.Encode(bus.PluginSayRequest{ID: fmt.Sprint(n), Lines: []string{"flood", "flood"}})
			if err == nil {
				_ = conn.PublishRequest(own.Say(), inbox, data) // it is only a load
			}
		}
	}
}
