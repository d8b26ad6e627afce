package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// A bot whose channel the service does not serve must say so and keep its events: to a client of the Python service's
// requests, a refusal looks like an empty queue.
func TestBotKeepsItsEventsWhileItsChannelIsNotServed(t *testing.T) {
	t.Parallel()
	for name, configure := range map[string][]func(*server.Options){
		"core NATS": nil, "JetStream": {natstest.JetStream(t)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sim, site := simulatortest.Start(t, simulator.Options{})
			nats, dir := natstest.Start(t, configure...), t.TempDir()
			list, path := filepath.Join(dir, "channels.yaml"), filepath.Join(dir, "rosey.db")
			write := func(text string) {
				t.Helper()
				if err := os.WriteFile(list, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("[]")
			common := []string{"--server", site, "--nats", nats.URL(), "--http", "127.0.0.1:0"}
			service := start(t, append([]string{"db", "--channel", "films", "--database", path, "--database-channels-file",
				list}, common...)...)
			service.waitFor(status.ReasonReady)
			bot := start(t, append([]string{"bot", "--channel", "songs", "--username", "Rosey"}, common...)...)
			report := bot.waitFor(status.ReasonChannelNotServed)
			if want := site + "/songs: not served"; !strings.Contains(report.Message, want) {
				t.Errorf("message %q, want %q", report.Message, want)
			}
			if err := sim.Channel("songs").Join("alice"); err != nil {
				t.Fatal(err)
			}
			if _, err := sim.Channel("songs").Say("alice", "is anybody listening?"); err != nil {
				t.Fatal(err)
			}
			write(fmt.Sprintf("- {server: %q, name: songs}", site))
			bot.waitFor(status.ReasonReady)
			opened, err := sqlite.OpenReadOnly(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = opened.Close() }()
			natstest.Eventually(t, "the line that the bot kept", func() bool {
				lines, err := opened.RecentChat(t.Context(), store.Channel{Server: site, Name: "songs"}, 10)
				return err == nil && len(lines) == 1
			})
			for _, p := range []*roseyProcess{bot, service} {
				if code := p.end(syscall.SIGTERM); code != exit.Clean {
					t.Errorf("exit code %d", code)
				}
			}
		})
	}
}
