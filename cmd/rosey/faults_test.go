package main

import (
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/status"
)

// fault is a temporary failure of something that a running bot uses.
type fault struct {
	trigger func(*botRig)
	// reason is that of the bot's status meanwhile. Ready: the bot is not affected.
	reason status.Reason
	repair func(*botRig)
}

var faults = map[string]fault{
	"the CyTube server restarts": {
		trigger: func(s *botRig) { s.sim.Restart(time.Second) },
		reason:  status.ReasonServerUnreachable,
		repair:  func(*botRig) {},
	},
	"the CyTube server crashes": {
		trigger: func(s *botRig) { s.sim.Crash(time.Second) },
		reason:  status.ReasonServerUnreachable,
		repair:  func(*botRig) {},
	},
	"the network to the CyTube server is cut": {
		trigger: func(s *botRig) { s.sim.Partition(simulator.Target{}) },
		reason:  status.ReasonServerUnreachable,
		repair:  func(s *botRig) { s.sim.Heal() },
	},
	"the CyTube server is slow": {
		trigger: func(s *botRig) { s.sim.Slow(simulator.Target{}, 300*time.Millisecond) },
		reason:  status.ReasonReady,
		repair:  func(*botRig) {},
	},
	"NATS restarts": {
		trigger: func(s *botRig) { s.nats.Stop() },
		reason:  status.ReasonNATSUnreachable,
		repair:  func(s *botRig) { s.nats.Restart() },
	},
	"the database service is killed": {
		trigger: func(s *botRig) { s.service.end(syscall.SIGKILL) },
		reason:  status.ReasonServiceAbsent,
		repair:  (*botRig).startService,
	},
	"the database service restarts": {
		trigger: func(s *botRig) { s.service.end(syscall.SIGTERM) },
		reason:  status.ReasonServiceAbsent,
		repair:  (*botRig).startService,
	},
}

// TestFaultsLoseNoLine causes a fault between a bot, a CyTube server, NATS and a database service, all real processes
// or servers. A line is said before, during and after it, and all three are stored once.
func TestFaultsLoseNoLine(t *testing.T) {
	t.Parallel()
	var running sync.WaitGroup
	for name, fault := range faults {
		running.Go(func() {
			t.Run(name, func(t *testing.T) { fault.run(newBotRig(t, simulator.Limits{})) })
		})
	}
	running.Wait()
}

func (f fault) run(s *botRig) {
	s.Helper()
	s.startService()
	s.startBot()
	s.await(status.ReasonReady)
	s.talk("before")
	s.awaitStored("before") // a crash loses lines that the bot has not received
	f.trigger(s)
	s.await(f.reason)
	s.talk("meanwhile")
	f.repair(s)
	s.await(status.ReasonReady)
	s.talk("after")
	s.awaitStored("before", "meanwhile", "after")
}

// awaitStored waits until alice's lines are in the database, and checks that there are no others. Lines of one
// millisecond have no order.
func (s *botRig) awaitStored(want ...string) {
	s.Helper()
	var stored []string
	natstest.Eventually(s.T, "all lines in the database", func() bool {
		stored = nil
		for _, line := range showData(s.T, "--server", s.site, "--channel", s.channel,
			"--database", filepath.Join(s.dir, "rosey.db")).Chat {
			if line.Username == "alice" {
				stored = append(stored, line.Text)
			}
		}
		return len(stored) >= len(want)
	})
	slices.Sort(stored)
	slices.Sort(want)
	if !slices.Equal(stored, want) {
		s.Errorf("stored %q, want %q", stored, want)
	}
}

// talk makes alice say a line. After a restart of the server she has to join again.
func (s *botRig) talk(text string) {
	s.Helper()
	isAlice := func(u simulator.User) bool { return u.Name == "alice" }
	if !slices.ContainsFunc(s.simChannel().Users(), isAlice) {
		s.must(s.simChannel().Join("alice"))
	}
	_, err := s.simChannel().Say("alice", text)
	s.must(err)
}
