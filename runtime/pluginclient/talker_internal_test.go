package pluginclient

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/command"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/speech"
)

// slowChannel is a channel in which each line takes a second.
type slowChannel struct {
	mu   sync.Mutex
	said []string
	// refuse is a line that the server refuses.
	refuse string
}

func (c *slowChannel) Say(ctx context.Context, m speech.Message) speech.Result {
	select {
	case <-ctx.Done():
		return speech.Result{Outcome: speech.Gone}
	case <-time.After(time.Second):
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.Text == c.refuse || !m.Yielding {
		return speech.Result{Outcome: speech.Filtered, Reason: "spam"}
	}
	c.said = append(c.said, m.To+m.Text)
	return speech.Result{Outcome: speech.Said}
}

// lines returns what was said.
func (c *slowChannel) lines() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.said)
}

func (*slowChannel) PrepareAct(
	context.Context, command.Act,
) (func(context.Context) (*bus.QueuedMedia, error), error) {
	return nil, errLeft
}

func (*slowChannel) State(context.Context, bus.PluginThing) (bus.ChannelState, bool) {
	return bus.ChannelState{}, false
}

func (*slowChannel) Find(context.Context, string) (cytube.User, bool) { return cytube.User{}, false }

// adder has lines of a plugin said within a time.
type adder = func(plugin string, within time.Duration, lines ...string)

// talking runs a test with a talker in a slow channel, and returns what became of the lines of each plugin.
func talking(t *testing.T, test func(t *testing.T, c *slowChannel, add adder)) (outcomes map[string]string) {
	t.Helper()
	outcomes = map[string]string{}
	synctest.Test(t, func(t *testing.T) {
		c, talker := &slowChannel{}, newTalker(newMetrics(nil))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { talker.run(ctx, c) })
		var mu sync.Mutex
		test(t, c, func(plugin string, wait time.Duration, lines ...string) {
			talker.add(&utterance{
				plugin: plugin, lines: lines, expires: time.Now().Add(wait), most: maxWaiting,
				done: func(o bus.PluginOutcome) {
					mu.Lock()
					defer mu.Unlock()
					outcomes[plugin] += strings.TrimSpace(o.Outcome+" "+o.Error) + "; "
				},
			})
		})
		cancel()
		running.Wait()
	})
	return outcomes
}

func TestPluginsTakeTurns(t *testing.T) {
	t.Parallel()
	outcomes := talking(t, func(t *testing.T, c *slowChannel, add adder) {
		for i := range 4 {
			add("flood", time.Minute, fmt.Sprintf("f%da", i), fmt.Sprintf("f%db", i), "x", "y", "z")
		}
		add("flood", time.Minute, "too much")
		add("dice", time.Minute, "d1", "d2")
		add("quotes", time.Minute, "q1")
		time.Sleep(6500 * time.Millisecond)
		if said, want := c.lines(), []string{"f0a", "d1", "q1", "f0b", "d2", "x"}; !slices.Equal(said, want) {
			t.Errorf("said %q, want %q", said, want)
		}
	})
	for plugin, want := range map[string]string{
		"dice": "done; ", "quotes": "done; ",
		"flood": "throttled too many lines of the plugin wait to be said; " +
			strings.Repeat("failed the bot left the channel; ", 4),
	} {
		if outcomes[plugin] != want {
			t.Errorf("%s: %s, want %s", plugin, outcomes[plugin], want)
		}
	}
}

func TestLinesThatExpireOrAreRefusedEndTheRest(t *testing.T) {
	t.Parallel()
	outcomes := talking(t, func(t *testing.T, c *slowChannel, add adder) {
		c.refuse = "bad"
		add("late", 1500*time.Millisecond, "l1", "l2", "l3")
		add("spam", time.Minute, "s1", "bad", "s2")
		add("none", time.Minute)
		time.Sleep(10 * time.Second)
		if said, want := c.lines(), []string{"l1", "s1"}; !slices.Equal(said, want) {
			t.Errorf("said %q, want %q", said, want)
		}
	})
	for plugin, want := range map[string]string{
		"late": "failed it was not said in time; ", "spam": "failed filtered: spam; ", "none": "done; ",
	} {
		if outcomes[plugin] != want {
			t.Errorf("%s: %s, want %s", plugin, outcomes[plugin], want)
		}
	}
}

func TestDeclarationsHaveLimits(t *testing.T) {
	t.Parallel()
	c, problem := readCommand(`{"name":"roll","aliases":["R","a b","ok","/x","é","1","2","3","4"],"rank":1e9,
		"cooldown":{"user_ms":-1,"channel_ms":99999999999},"timeout_ms":99999999,"examples":["1","2","3","4","5","6"]}`)
	if problem != "" || !slices.Equal(c.Aliases, []string{"ok", "é", "1", "2", "3"}) || c.Rank != maxRank ||
		c.Cooldown.UserMS != 0 || c.Cooldown.ChannelMS != int(maxCooldown.Milliseconds()) ||
		timeout(c) != bus.MaxPluginTimeout || len(c.Examples) != maxExamples {
		t.Errorf("%+v, %s", c, problem)
	}
	if timeout(bus.PluginCommand{}) != bus.PluginTimeout {
		t.Error("no timeout")
	}
	for metadata, want := range map[string]string{
		`{"name":"a.b"}`: "name: expected", `{"name":">"}`: "name: expected", `{"name":7}`: "expected a command as JSON",
		`{"name":"` + strings.Repeat("x", 31) + `"}`: "name: expected", `{}`: "name: expected",
	} {
		if _, problem := readCommand(metadata); !strings.Contains(problem, want) {
			t.Errorf("%s: %q, want %s", metadata, problem, want)
		}
	}
}
