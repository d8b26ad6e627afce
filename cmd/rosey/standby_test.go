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
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/test/cable"
)

// company is a stage with several bots that stand by for each other, each with a cable of its own to NATS.
type company struct {
	*stage
	pods   map[string]*roseyProcess
	cables map[string]*cable.Cable
}

// newCompany has bots a and b, and a leads.
func newCompany(t *testing.T) *company {
	t.Helper()
	c := &company{
		stage: newStage(t, simulator.Limits{}), pods: map[string]*roseyProcess{}, cables: map[string]*cable.Cable{},
	}
	dir := t.TempDir()
	c.nats.Restart(func(o *server.Options) { o.JetStream, o.StoreDir = true, dir })
	c.startService()
	t.Cleanup(c.neverTwo)
	c.startPod("a")
	c.leads("a")
	c.startPod("b")
	c.standsBy("b", "a")
	return c
}

// startPod starts a bot as the pod of that name.
func (c *company) startPod(name string) {
	c.Helper()
	if c.cables[name] == nil {
		c.cables[name] = cable.Lay(c.T, strings.TrimPrefix(c.nats.URL(), "nats://"))
	}
	file := c.secret(name+".yaml", fmt.Sprintf(`channel: {server: %q, name: %s}
account: {username: %s, passwordFile: %q}
nats: {url: "nats://%s"}
standby: true
http: {address: "127.0.0.1:0"}
`, c.site, c.channel, c.username, c.account, c.cables[name].Address()))
	c.pods[name] = startAs(c.T, []string{config.PodNameVariable + "=" + name}, "bot", "--config", file)
}

// eventually waits until a pod's status is as it should be.
func (c *company) eventually(pod, what string, is func(status.Report) bool) {
	c.Helper()
	var report status.Report
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if report = c.pods[pod].report(); is(report) {
			return
		}
	}
	c.Fatalf("not within %s: %s %s, its status is %+v", patience, pod, what, report)
}

func (c *company) leads(pod string) {
	c.Helper()
	c.eventually(pod, "leads", func(r status.Report) bool {
		return r.Ready && r.Leader == pod && hasReason(r, status.ReasonJoined)
	})
}

func (c *company) standsBy(pod, leader string) {
	c.Helper()
	c.eventually(pod, "stands by for "+leader, func(r status.Report) bool {
		return r.Ready && r.Leader == leader && hasReason(r, status.ReasonStandby)
	})
}

func hasReason(r status.Report, reason status.Reason) bool {
	return slices.ContainsFunc(r.Checks, func(check status.Check) bool { return check.Reason == reason })
}

// presence is how the bot came and went, and was kicked, as the CyTube server saw it.
func (c *company) presence() (kinds []simulator.Kind) {
	for _, entry := range c.movies().Log() {
		if entry.User == "Rosey" && slices.Contains(
			[]simulator.Kind{simulator.KindJoin, simulator.KindLeave, simulator.KindKick}, entry.Kind) {
			kinds = append(kinds, entry.Kind)
		}
	}
	return kinds
}

// neverTwo checks that no two of ours were ever in the server's user list.
func (c *company) neverTwo() {
	there := 0
	for _, kind := range c.presence() {
		switch kind {
		case simulator.KindJoin:
			there++
		case simulator.KindLeave:
			there--
		default:
		}
		if there > 1 || there < 0 {
			c.Errorf("%d of ours in the user list: %v", there, c.presence())
		}
	}
}

func (c *company) expect(kinds ...simulator.Kind) {
	c.Helper()
	if got := c.presence(); !slices.Equal(got, kinds) {
		c.Errorf("the CyTube server saw %v, want %v", got, kinds)
	}
}

func (c *company) signal(pod string, signal syscall.Signal) {
	c.Helper()
	c.must(c.pods[pod].command.Process.Signal(signal))
}

// queue has a line said by whoever leads.
func (c *company) queue(text string) {
	c.Helper()
	body, err := json.Marshal(bus.OutboundPutRequest{
		Message: text, ClientID: text, Origin: bus.Origin{Server: c.site, Channel: c.channel},
	})
	c.must(err)
	_, err = c.nats.Client().Request("rosey."+string(bus.OutboundPut), body, patience)
	c.must(err)
}

// awaitLine waits until the bot says something.
func (c *company) awaitLine(text string) {
	c.Helper()
	_, err := c.movies().WaitFor(c.Context(), 0, func(e simulator.Entry) bool {
		return e.Kind == simulator.KindChat && e.User == "Rosey" && e.Text == text
	})
	c.must(err)
}

const join, leave, kick = simulator.KindJoin, simulator.KindLeave, simulator.KindKick

func TestTheLeaderIsKilled(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	killed := time.Now()
	c.pods["a"].end(syscall.SIGKILL)
	c.leads("b")
	c.expect(join, leave, join)
	t.Logf("in the channel %s after the kill", c.backAfter(killed))
	c.startPod("a")
	c.standsBy("a", "b")
	if _, metrics := c.pods["b"].get(status.MetricsPath); !strings.Contains(metrics, "rosey_bot_leader 1") ||
		!strings.Contains(metrics, `rosey_bot_lock_transitions_total{cause="expired"} 1`) {
		t.Error("the metrics do not tell the takeover")
	}
}

func (c *company) backAfter(moment time.Time) time.Duration {
	log := c.movies().Log()
	slices.Reverse(log)
	for _, entry := range log {
		if entry.Kind == join {
			return time.UnixMilli(entry.Time).Sub(moment)
		}
	}
	return 0
}

// TestTheLeaderIsPaused stops its clocks with the connection open, for longer than the lock lasts.
func TestTheLeaderIsPaused(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	c.signal("a", syscall.SIGSTOP)
	c.leads("b")
	c.expect(join, kick, leave, join)
	c.queue("once")
	c.awaitLine("once")
	c.signal("a", syscall.SIGCONT)
	c.standsBy("a", "b")
	c.queue("and once more")
	c.awaitLine("and once more")
	c.expect(join, kick, leave, join)
	for _, text := range []string{"once", "and once more"} {
		if lines := c.countLines(text); lines != 1 {
			t.Errorf("%q was said %d times", text, lines)
		}
	}
}

func (c *company) countLines(text string) (count int) {
	for _, entry := range c.movies().Log() {
		if entry.Kind == simulator.KindChat && entry.Text == text {
			count++
		}
	}
	return count
}

// TestTheLeaderIsCutOffFromNATS has it listen on until it is replaced, and tell later what it heard.
func TestTheLeaderIsCutOffFromNATS(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	c.talk("before")
	c.cables["a"].Cut()
	c.talk("during")
	c.leads("b")
	c.expect(join, kick, leave, join)
	c.eventually("a", "does not know who leads", func(r status.Report) bool { return !r.Ready && r.Leader == "" })
	c.talk("after")
	c.cables["a"].Mend()
	c.standsBy("a", "b")
	c.awaitStored("before", "during", "after")
	c.expect(join, kick, leave, join)
}

func TestNATSRestartsForAll(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	c.nats.Stop()
	for _, pod := range []string{"a", "b"} {
		c.eventually(pod, "misses NATS", func(r status.Report) bool { return r.Reason == status.ReasonNATSUnreachable })
	}
	// Longer than the lock lasts.
	c.eventually("a", "does not know who leads", func(r status.Report) bool { return r.Leader == "" })
	c.nats.Restart()
	c.leads("a")
	c.standsBy("b", "a")
	c.expect(join)
}

func TestTheLeaderEnds(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	told := time.Now()
	if code := c.pods["a"].end(syscall.SIGTERM); code != exitClean {
		t.Errorf("exit code %d", code)
	}
	c.leads("b")
	t.Logf("in the channel %s after the signal", c.backAfter(told))
	c.expect(join, leave, join) // first out, then in: nobody is kicked
	if _, metrics := c.pods["b"].get(status.MetricsPath); !strings.Contains(metrics, `{cause="released"} 1`) {
		t.Error("the lock was not given back")
	}
}

func TestSomebodyElseLogsInWithOurAccount(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	other := c.asOther(cytube.Options{Username: "Rosey", Password: rightPassword})
	c.eventually("a", "says who is there", func(r status.Report) bool {
		return r.Reason == status.ReasonDuplicateLogin && r.Leader == "a" && strings.Contains(r.Message, "somebody else")
	})
	c.standsBy("b", "a")
	other.Close()
	c.leads("a")
	c.standsBy("b", "a")
}

func TestAStandbySaysWhyItIsNotReady(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	c.nats.Restart(func(o *server.Options) { o.JetStream = false })
	c.eventually("b", "misses JetStream", func(r status.Report) bool {
		return !r.Ready && hasReason(r, status.ReasonLockUnavailable)
	})
	code, _, complaint := call(t, "bot", "--channel", "m", "--nats", "nats://127.0.0.1:1", "--standby")
	if code != exitUsage || !strings.Contains(complaint, "two anonymous bots") {
		t.Errorf("an anonymous standby: exit code %d, %s", code, complaint)
	}
}
