package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/test/cable"
	"rosey.dev/rosey/test/processtest"
)

// standbyRig has several bots that stand by for each other. Each reaches NATS through a cable of its own.
type standbyRig struct {
	*botRig
	pods   map[string]*roseyProcess
	cables map[string]*cable.Cable
	// environment has variables of the bots, as NAME=value.
	environment []string
}

// newStandbyRig starts a service, and bots a and b, of which a leads.
func newStandbyRig(t *testing.T) *standbyRig {
	t.Helper()
	c := newStandbyServers(t)
	c.startService()
	c.startPods()
	return c
}

// newStandbyServers starts what bots need beside the database service.
func newStandbyServers(t *testing.T) *standbyRig {
	t.Helper()
	c := &standbyRig{
		botRig: newBotRig(t, simulator.Limits{}), pods: map[string]*roseyProcess{}, cables: map[string]*cable.Cable{},
	}
	dir := t.TempDir()
	c.nats.Restart(func(o *server.Options) { o.JetStream, o.StoreDir = true, dir })
	t.Cleanup(c.checkNeverTwo)
	return c
}

// startPods starts bots a and b, of which a leads.
func (c *standbyRig) startPods() {
	c.Helper()
	c.startPod("a")
	c.waitLeads("a")
	c.startPod("b")
	c.waitStandsBy("b", "a")
}

// startPod starts a bot in the pod of that name.
func (c *standbyRig) startPod(name string) {
	c.Helper()
	if c.cables[name] == nil {
		c.cables[name] = cable.New(c.T, strings.TrimPrefix(c.nats.URL(), "nats://"))
	}
	file := c.secret(name+".yaml", fmt.Sprintf(`channel: {server: %q, name: %s}
account: {username: %s, passwordFile: %q}
nats: {url: "nats://%s"}
standby: true
http: {address: "127.0.0.1:0"}
`, c.site, c.channel, c.username, c.account, c.cables[name].Address()))
	environment := append(slices.Clip(c.environment), config.PodNameVariable+"="+name)
	c.pods[name] = startWithEnv(c.T, environment, "bot", "--config", file)
}

// waitStatus waits until the status of a pod satisfies a condition.
func (c *standbyRig) waitStatus(pod, what string, condition func(status.Report) bool) {
	c.Helper()
	var report status.Report
	for deadline := time.Now().Add(waitTimeout); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if report = c.pods[pod].report(); condition(report) {
			return
		}
	}
	c.Fatalf("waited %s until %s %s; its status is %+v", waitTimeout, pod, what, report)
}

func (c *standbyRig) waitLeads(pod string) {
	c.Helper()
	c.waitStatus(pod, "leads", func(r status.Report) bool {
		return r.Ready && r.Leader == pod && hasReason(r, status.ReasonJoined)
	})
}

func (c *standbyRig) waitStandsBy(pod, leader string) {
	c.Helper()
	c.waitStatus(pod, "is a standby of "+leader, func(r status.Report) bool {
		return r.Ready && r.Leader == leader && hasReason(r, status.ReasonStandby)
	})
}

func hasReason(r status.Report, reason status.Reason) bool {
	return slices.ContainsFunc(r.Checks, func(check status.Check) bool { return check.Reason == reason })
}

// visits returns when the bot joined, left and was kicked, according to the CyTube server.
func (c *standbyRig) visits() (kinds []simulator.Kind) {
	for _, entry := range c.simChannel().Log() {
		if entry.User == "Rosey" && slices.Contains(
			[]simulator.Kind{simulator.KindJoin, simulator.KindLeave, simulator.KindKick}, entry.Kind) {
			kinds = append(kinds, entry.Kind)
		}
	}
	return kinds
}

// checkNeverTwo checks that two bots were never in the channel at once.
func (c *standbyRig) checkNeverTwo() {
	present := 0
	for _, kind := range c.visits() {
		switch kind {
		case simulator.KindJoin:
			present++
		case simulator.KindLeave:
			present--
		default:
		}
		if present > 1 || present < 0 {
			c.Errorf("%d bots in the user list: %v", present, c.visits())
		}
	}
}

func (c *standbyRig) checkVisits(kinds ...simulator.Kind) {
	c.Helper()
	if got := c.visits(); !slices.Equal(got, kinds) {
		c.Errorf("the CyTube server saw %v, want %v", got, kinds)
	}
}

func (c *standbyRig) signal(pod string, signal syscall.Signal) {
	c.Helper()
	c.must(c.pods[pod].command.Process.Signal(signal))
}

// queue queues a line for the leader to say.
func (c *standbyRig) queue(text string) {
	c.Helper()
	body, err := json.Marshal(bus.OutboundPutRequest{
		Message: text, ClientID: text, Origin: bus.Origin{Server: c.site, Channel: c.channel},
	})
	c.must(err)
	_, err = c.nats.Client().Request("rosey."+string(bus.OutboundPut), body, waitTimeout)
	c.must(err)
}

// awaitLine waits until the bot has said a line.
func (c *standbyRig) awaitLine(text string) {
	c.Helper()
	_, err := c.simChannel().WaitFor(c.Context(), 0, func(e simulator.Entry) bool {
		return e.Kind == simulator.KindChat && e.User == "Rosey" && e.Text == text
	})
	c.must(err)
}

const join, leave, kick = simulator.KindJoin, simulator.KindLeave, simulator.KindKick

func TestLeaderIsKilled(t *testing.T) {
	t.Parallel()
	c := newStandbyRig(t)
	killed := time.Now()
	c.pods["a"].end(syscall.SIGKILL)
	c.waitLeads("b")
	c.checkVisits(join, leave, join)
	t.Logf("rejoined %s after the kill", c.rejoinedAfter(killed))
	c.startPod("a")
	c.waitStandsBy("a", "b")
	if _, metrics := c.pods["b"].get(status.MetricsPath); !strings.Contains(metrics, "rosey_bot_leader 1") ||
		!strings.Contains(metrics, `rosey_bot_lock_transitions_total{cause="expired"} 1`) {
		t.Error("the metrics do not count the takeover")
	}
}

// rejoinedAfter returns the time from a moment to the last join.
func (c *standbyRig) rejoinedAfter(moment time.Time) time.Duration {
	log := c.simChannel().Log()
	slices.Reverse(log)
	for _, entry := range log {
		if entry.Kind == join {
			return time.UnixMilli(entry.Time).Sub(moment)
		}
	}
	return 0
}

// TestLeaderIsPaused stops the leader's process, with its connections open, for longer than the TTL of the leader key.
func TestLeaderIsPaused(t *testing.T) {
	t.Parallel()
	c := newStandbyRig(t)
	processtest.Stop(t, c.pods["a"].command.Process.Pid)
	c.waitLeads("b")
	c.checkVisits(join, kick, leave, join)
	c.queue("once")
	c.awaitLine("once")
	c.signal("a", syscall.SIGCONT)
	c.waitStandsBy("a", "b")
	c.queue("and once more")
	c.awaitLine("and once more")
	c.checkVisits(join, kick, leave, join)
	for _, text := range []string{"once", "and once more"} {
		if lines := c.countLines(text); lines != 1 {
			t.Errorf("%q was said %d times", text, lines)
		}
	}
}

func (c *standbyRig) countLines(text string) (count int) {
	for _, entry := range c.simChannel().Log() {
		if entry.Kind == simulator.KindChat && entry.Text == text {
			count++
		}
	}
	return count
}

// TestLeaderIsCutOffFromNATS: the leader records the chat until it is replaced, and publishes it when NATS is back.
func TestLeaderIsCutOffFromNATS(t *testing.T) {
	t.Parallel()
	c := newStandbyRig(t)
	c.talk("before")
	c.cables["a"].Cut()
	c.talk("during")
	c.waitLeads("b")
	c.checkVisits(join, kick, leave, join)
	c.waitStatus("a", "does not know who leads", func(r status.Report) bool { return !r.Ready && r.Leader == "" })
	c.talk("after")
	c.cables["a"].Restore()
	c.waitStandsBy("a", "b")
	c.awaitStored("before", "during", "after")
	c.checkVisits(join, kick, leave, join)
}

func TestNATSRestarts(t *testing.T) {
	t.Parallel()
	c := newStandbyRig(t)
	c.nats.Stop()
	for _, pod := range []string{"a", "b"} {
		c.waitStatus(pod, "misses NATS", func(r status.Report) bool { return r.Reason == status.ReasonNATSUnreachable })
	}
	// This takes longer than the TTL of the leader key.
	c.waitStatus("a", "does not know who leads", func(r status.Report) bool { return r.Leader == "" })
	c.nats.Restart()
	c.waitLeads("a")
	c.waitStandsBy("b", "a")
	c.checkVisits(join)
}

func TestLeaderStops(t *testing.T) {
	t.Parallel()
	c := newStandbyRig(t)
	signalled := time.Now()
	if code := c.pods["a"].end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d", code)
	}
	c.waitLeads("b")
	t.Logf("rejoined %s after the signal", c.rejoinedAfter(signalled))
	c.checkVisits(join, leave, join) // the old leader leaves before the new one joins: nobody is kicked
	if _, metrics := c.pods["b"].get(status.MetricsPath); !strings.Contains(metrics, `{cause="released"} 1`) {
		t.Error("the leadership was not released")
	}
}

func TestAnotherLoginWithTheAccount(t *testing.T) {
	t.Parallel()
	c := newStandbyRig(t)
	other := c.dialOther(cytube.Options{Username: "Rosey", Password: rightPassword})
	c.waitStatus("a", "reports the other login", func(r status.Report) bool {
		return r.Reason == status.ReasonDuplicateLogin && r.Leader == "a" && strings.Contains(r.Message, "somebody else")
	})
	c.waitStandsBy("b", "a")
	other.Close()
	c.waitLeads("a")
	c.waitStandsBy("b", "a")
}

func TestStandbyReportsWhyItIsNotReady(t *testing.T) {
	t.Parallel()
	c := newStandbyRig(t)
	c.nats.Restart(func(o *server.Options) { o.JetStream = false })
	c.waitStatus("b", "reports that JetStream is missing", func(r status.Report) bool {
		return !r.Ready && hasReason(r, status.ReasonLockUnavailable)
	})
	code, _, stderr := call(t, "bot", "--channel", "m", "--nats", "nats://127.0.0.1:1", "--standby")
	if code != exit.Usage || !strings.Contains(stderr, "two anonymous bots") {
		t.Errorf("an anonymous standby: exit code %d, %s", code, stderr)
	}
}
