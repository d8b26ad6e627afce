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

// fault is something that goes wrong beside a bot that works, and ends.
type fault struct {
	strike func(*stage)
	// reason is what the bot says meanwhile. Ready: it must not notice.
	reason status.Reason
	end    func(*stage)
}

var faults = map[string]fault{
	"the CyTube server restarts": {
		strike: func(s *stage) { s.sim.Restart(time.Second) },
		reason: status.ReasonServerUnreachable,
		end:    func(*stage) {},
	},
	"the CyTube server crashes": {
		strike: func(s *stage) { s.sim.Crash(time.Second) },
		reason: status.ReasonServerUnreachable,
		end:    func(*stage) {},
	},
	"the network to the CyTube server is cut": {
		strike: func(s *stage) { s.sim.Partition(simulator.Target{}) },
		reason: status.ReasonServerUnreachable,
		end:    func(s *stage) { s.sim.Heal() },
	},
	"the CyTube server is slow": {
		strike: func(s *stage) { s.sim.Slow(simulator.Target{}, 300*time.Millisecond) },
		reason: status.ReasonReady,
		end:    func(*stage) {},
	},
	"NATS restarts": {
		strike: func(s *stage) { s.nats.Stop() },
		reason: status.ReasonNATSUnreachable,
		end:    func(s *stage) { s.nats.Restart() },
	},
	"the database service is killed": {
		strike: func(s *stage) { s.service.end(syscall.SIGKILL) },
		reason: status.ReasonServiceAbsent,
		end:    (*stage).startService,
	},
	"the database service restarts": {
		strike: func(s *stage) { s.service.end(syscall.SIGTERM) },
		reason: status.ReasonServiceAbsent,
		end:    (*stage).startService,
	},
}

// TestFaultsLoseNoLine has something go wrong between a bot, a CyTube server, NATS and a database service, all real
// processes or servers, while somebody talks: before, during and after it. All three lines are stored once.
func TestFaultsLoseNoLine(t *testing.T) {
	t.Parallel()
	var running sync.WaitGroup
	for name, fault := range faults {
		running.Go(func() {
			t.Run(name, func(t *testing.T) { fault.play(newStage(t, simulator.Limits{})) })
		})
	}
	running.Wait()
}

func (f fault) play(s *stage) {
	s.Helper()
	s.startService()
	s.start()
	s.await(status.ReasonReady)
	s.talk("before")
	s.awaitStored("before") // what nobody has heard yet a crash takes with it
	f.strike(s)
	s.await(f.reason)
	s.talk("meanwhile")
	f.end(s)
	s.await(status.ReasonReady)
	s.talk("after")
	s.awaitStored("before", "meanwhile", "after")
}

// awaitStored waits until alice's lines are in the database, and sees that there are no others. Which of two that
// were said in one millisecond comes first does not matter.
func (s *stage) awaitStored(want ...string) {
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

// talk has alice say something. Whoever was there is gone after a restart of the server, so she comes anew.
func (s *stage) talk(text string) {
	s.Helper()
	isAlice := func(u simulator.User) bool { return u.Name == "alice" }
	if !slices.ContainsFunc(s.movies().Users(), isAlice) {
		s.must(s.movies().Join("alice"))
	}
	_, err := s.movies().Say("alice", text)
	s.must(err)
}
