package main

import (
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/nats-io/nats-server/v2/server"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// TestBotWithAPythonService runs the bot with a service that behaves like the Python one. The bot publishes each event
// once, since that service stores every copy; it says each outbound line once; and it stops trying a line that cannot
// be said, although the service returns it at every poll.
func TestBotWithAPythonService(t *testing.T) {
	t.Parallel()
	for name, jetStream := range map[string]bool{"core NATS": false, "JetStream": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newBotRig(t, simulator.Limits{})
			s.nats.Restart(func(o *server.Options) { o.JetStream, o.StoreDir = jetStream, t.TempDir() })
			s.username = "plain" // may not use /say: the server ignores it silently
			python := startPythonService(t, s.nats.Client(), "first", "/say HEAR ME", "second")
			s.startBot()
			s.await(status.ReasonReady)
			s.withPython(python)
		})
	}
}

func (s *botRig) withPython(python *pythonService) {
	s.Helper()
	const lines = 60
	var want []string
	for i := range lines {
		switch i {
		case lines / 3:
			// An event in flight when the connection breaks would be lost: without ids it is not published twice.
			// The same holds for the report of the line that was said.
			natstest.Eventually(s.T, "the first lines and reports at the service", func() bool {
				return len(python.saidByAlice()) == i && strings.HasPrefix(python.sentTimes(), "1: true")
			})
			s.nats.Stop()
			s.await(status.ReasonNATSUnreachable)
		case lines * 2 / 3:
			s.nats.Restart()
			s.await(status.ReasonReady)
		}
		text := strconv.Itoa(i)
		s.talk(text)
		want = append(want, text)
	}
	natstest.Eventually(s.T, "all lines at the service", func() bool { return len(python.saidByAlice()) >= lines })
	natstest.Eventually(s.T, "both lines to be said and reported", func() bool {
		return python.sentTimes() == "1: true, 2: false, 3: true"
	})
	// The line that cannot be said is returned by each poll.
	polls := python.polls()
	natstest.Eventually(s.T, "more polls", func() bool { return python.polls() > polls+3 })
	if _, metrics := s.bot.get(status.MetricsPath); !strings.Contains(metrics,
		`rosey_bot_outbound_total{outcome="unanswered"} 1`) {
		s.Errorf("the line that the server ignores was not tried exactly once:\n%s",
			linesWith(metrics, "rosey_bot_outbound_total"))
	}
	if code := s.bot.end(syscall.SIGTERM); code != exit.Clean {
		s.Errorf("exit code %d: %v", code, s.bot.log())
	}
	anyOrder := cmpopts.SortSlices(func(a, b string) bool { return a < b })
	if diff := cmp.Diff(want, python.saidByAlice(), anyOrder); diff != "" {
		s.Errorf("lines at the service (-want +got):\n%s", diff)
	}
	left := map[any]int{}
	for _, body := range python.all("user.left") {
		left[body["username"]]++
	}
	if left["plain"] != 1 || left["alice"] != 1 {
		s.Errorf("leaves at the service: %v, want one for each user", left)
	}
}

// TestABotBeforeAPythonService starts the bot first: what it has published to the stream meanwhile, which that service
// does not read, must reach it.
func TestABotBeforeAPythonService(t *testing.T) {
	t.Parallel()
	s := newBotRig(t, simulator.Limits{})
	s.nats.Restart(func(o *server.Options) { o.JetStream, o.StoreDir = true, t.TempDir() })
	s.startBot()
	s.await(status.ReasonServiceAbsent)
	natstest.Eventually(t, "the bot in the channel", func() bool { return len(s.simChannel().Users()) == 1 })
	say := func(texts ...string) {
		for _, text := range texts {
			s.talk(text)
		}
	}
	say("one", "again", "again", "two")
	natstest.Eventually(t, "the lines in the stream", func() bool {
		_, metrics := s.bot.get(status.MetricsPath)
		return strings.Contains(metrics, `rosey_bus_published_total{subject="db.message.log"} 4`)
	})
	python := startPythonService(t, s.nats.Client())
	s.await(status.ReasonReady)
	say("three")
	want := []string{"one", "again", "again", "two", "three"}
	natstest.Eventually(t, "the lines at the service", func() bool { return len(python.saidByAlice()) >= len(want) })
	if code := s.bot.end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d: %v", code, s.bot.log())
	}
	if diff := cmp.Diff(want, python.saidByAlice()); diff != "" {
		t.Errorf("lines at the service (-want +got):\n%s", diff)
	}
}

// TestAPythonServiceGetsEachLineOnce joins again and again: the CyTube server then repeats its last 15 lines, each of
// which that service would store and count once more.
func TestAPythonServiceGetsEachLineOnce(t *testing.T) {
	t.Parallel()
	s := newBotRig(t, simulator.Limits{})
	python := startPythonService(t, s.nats.Client())
	s.startBot()
	s.await(status.ReasonReady)
	var want []string
	say := func(texts ...string) {
		for _, text := range texts {
			s.talk(text)
		}
		want = append(want, texts...)
	}
	say("one", "again", "again", "two", "again")
	stored := func() bool { return len(python.saidByAlice()) >= len(want) }
	natstest.Eventually(t, "the lines at the service", stored)

	s.must(s.simChannel().Drop(s.username))
	natstest.Eventually(t, "the bot is away", func() bool { return len(s.simChannel().Users()) == 1 })
	say("again", "missed")
	s.await(status.ReasonReady)
	natstest.Eventually(t, "the missed lines at the service", stored)
	say("three", "again")
	natstest.Eventually(t, "more lines at the service", stored)

	s.must(s.bot.command.Process.Kill())
	natstest.Eventually(t, "the bot is away", func() bool { return len(s.simChannel().Users()) == 1 })
	say("again", "missed by the dead")
	s.startBot()
	s.await(status.ReasonReady)
	say("last")
	natstest.Eventually(t, "the last lines at the service", stored)
	if diff := cmp.Diff(want, python.saidByAlice()); diff != "" {
		t.Errorf("lines at the service (-want +got):\n%s", diff)
	}
}

func linesWith(text, part string) (found string) {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			found += line
		}
	}
	return found
}
