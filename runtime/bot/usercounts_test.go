package bot

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	_ "time/tzdata" // Berlin, on machines without time zones

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/bus"
)

// samples keeps the samples of the numbers of users, as a service without IDs does: each that is published.
type samples struct {
	nowhere

	mu    sync.Mutex
	ids   []string
	times []time.Time
}

func (s *samples) Publish(_ context.Context, suffix bus.Suffix, id string, payload any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if sample, ok := payload.(bus.UserCountPayload); ok && suffix == bus.StatsUserCount {
		s.ids = append(s.ids, id)
		s.times = append(s.times, sample.Timestamp.Time)
	}
}

// slots returns the slots of the samples in which there is one.
func (s *samples) slots() (slots []time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.times {
		slots = append(slots, at.Truncate(5*time.Minute))
	}
	return slots
}

// TestUserCountsAreSampledOnTheClock has sessions that are shorter than the time between two samples, and processes
// that follow each other in the middle of a slot.
func TestUserCountsAreSampledOnTheClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := newBubble(t, simulator.Options{Accounts: []simulator.Account{{Name: "rosey", Password: "p"}}})
		time.Sleep(2 * time.Minute)
		kept := &samples{}
		began := time.Now()
		for range 3 { // processes
			bot := b.startWith("rosey", "p", kept)
			for range 20 { // sessions, of at most a minute
				time.Sleep(time.Minute)
				if bot.Check().OK {
					must(t, b.sim.Channel("channel-of-rosey").Drop("rosey"))
				}
			}
			bot.stop()
		}
		slots := kept.slots()
		if want := int(time.Since(began) / (5 * time.Minute)); len(slots) != want {
			t.Errorf("%d samples in %s, want %d", len(slots), time.Since(began), want)
		}
		slices.Sort(kept.ids)
		if once := slices.CompactFunc(slots, time.Time.Equal); len(once) != len(kept.times) ||
			len(slices.Compact(kept.ids)) != len(kept.times) {
			t.Errorf("a slot has two samples, or two slots have one ID: %s", kept.times)
		}
	})
}

// zone is one whose clocks go from 02:00 to 03:00 in the night of the test below.
const zone = "Europe/Berlin"

// TestUserCountsInTheNightWithoutTwoOClock has a night in which clocks go from 02:00 to 03:00: there is one sample for
// each five minutes that pass, also at both midnights. The zone of a process is set before it starts.
func TestUserCountsInTheNightWithoutTwoOClock(t *testing.T) {
	t.Parallel()
	if os.Getenv("TZ") != zone {
		command := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
		command.Env = append(os.Environ(), "TZ="+zone)
		out, err := command.CombinedOutput()
		if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Errorf("in the zone %s: %v\n%s", zone, err, out)
		}
		return
	}
	if name, offset := time.Date(2000, 3, 26, 12, 0, 0, 0, time.Local).Zone(); offset != 2*60*60 {
		t.Fatalf("the time after that night is %s, %d seconds from UTC: the zone is not %s", name, offset, zone)
	}
	synctest.Test(t, func(t *testing.T) {
		began := time.Date(2000, 3, 25, 23, 32, 0, 0, time.Local) // midnight comes first
		time.Sleep(time.Until(began))
		b := newBubble(t, simulator.Options{Accounts: []simulator.Account{{Name: "rosey", Password: "p"}}})
		kept := &samples{}
		bot := b.startWith("rosey", "p", kept)
		time.Sleep(28 * time.Hour)
		bot.stop()
		slots := kept.slots()
		if len(slots) != 28*12 {
			t.Errorf("%d samples in 28 hours", len(slots))
		}
		for i, at := range slots {
			if want := began.Truncate(5 * time.Minute).Add(time.Duration(i+1) * 5 * time.Minute); !at.Equal(want) {
				t.Errorf("sample %d is of %s, expected %s", i, at, want)
			}
		}
	})
}

// TestAClockThatIsSetBackDoesNotStopTheSamples sets the clock back by a day.
func TestAClockThatIsSetBackDoesNotStopTheSamples(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 10, 3, 0, 0, time.UTC)
	counts := userCounts{every: 5 * time.Minute}
	counts.begin(now)
	for _, step := range []struct {
		after time.Duration
		due   bool
	}{{time.Minute, false}, {2 * time.Minute, true}, {-24 * time.Hour, true}, {0, false}, {5 * time.Minute, true}} {
		now = now.Add(step.after)
		if got := counts.due(now); got != step.due {
			t.Errorf("%s: due %v", now, got)
		}
		counts.begin(now)
		if next := now.Add(counts.next(now)); next.Sub(now) > counts.every || next.Minute()%5 != 0 {
			t.Errorf("%s: the next slot begins at %s", now, next)
		}
	}
}
