package bot

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/leader"
	"rosey.dev/rosey/runtime/status"
)

// standBy has the bot need a lock that lasts only a second.
func (r *rig) standBy() {
	r.t.Helper()
	dir := r.t.TempDir()
	r.nats.Restart(func(o *server.Options) { o.JetStream, o.StoreDir = true, dir })
	r.elector = &leader.Options{Pod: r.instance, TTL: time.Second}
}

// rival waits for the lock as another pod, and answers when it has it.
func (r *rig) rival() <-chan *leader.Leadership {
	r.t.Helper()
	subjects, err := bus.NewSubjects(prefix)
	must(r.t, err)
	conn, err := bus.Connect(r.t.Context(), bus.Options{URL: r.nats.URL(), Log: natstest.Log(r.t)})
	must(r.t, err)
	lock := leader.New(leader.Options{
		Conn: conn, Subjects: subjects, Log: natstest.Log(r.t), Pod: "rival", TTL: time.Second,
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	won := make(chan *leader.Leadership, 1)
	var worker sync.WaitGroup
	worker.Go(func() {
		term, err := lock.Acquire(ctx, func(leader.Observation) {})
		if err != nil {
			return
		}
		won <- term
		<-ctx.Done()
		_ = term.Release(context.WithoutCancel(ctx))
	})
	r.t.Cleanup(func() { cancel(); worker.Wait(); conn.Close() })
	return won
}

func (r *rig) awaitWon(won <-chan *leader.Leadership) *leader.Leadership {
	r.t.Helper()
	var term *leader.Leadership
	r.eventually("the rival to have the lock", func() bool {
		select {
		case term = <-won:
			return true
		default:
			return false
		}
	})
	return term
}

// TestALeaderPastItsTimeIsSilent sees that it stays, listens and says nothing, until it has the lock for sure again.
func TestALeaderPastItsTimeIsSilent(t *testing.T) {
	r := newRig(t)
	r.standBy()
	must(t, r.channel.Join("alice"))
	must(t, r.channel.Join("mod"))
	r.startJoined()
	r.nats.Stop()
	r.eventually("the lock to run out", func() bool { return !r.bot.leads() })
	r.say("alice", "!uptime")
	_, err := r.channel.PM("mod", "Rosey", "info")
	must(t, err)
	r.say("alice", "anybody there?")
	r.eventually("all is heard", func() bool { return r.metric("rosey_cytube_events_total", "chatMsg") == 2 })
	if check := r.bot.Check(); check.Reason != status.ReasonJoined || r.bot.Leader() != "" {
		t.Errorf("check %+v, leader %q", check, r.bot.Leader())
	}
	r.nats.Restart()
	r.eventually("it leads again", func() bool { return r.bot.Leader() == r.instance })
	r.eventually("what it heard is told", func() bool { return len(r.service.on(bus.MessageLog)) == 2 })
	r.say("alice", "!help")
	r.eventually("an answer", func() bool { return len(r.linesOf("Rosey")) == 1 })
	if lines := r.linesOf("Rosey"); !strings.HasPrefix(lines[0], "Commands:") || len(r.pms("mod")) > 0 {
		t.Errorf("it answered what it was asked while it was not sure: %v, %v", lines, r.pms("mod"))
	}
}

// TestWhoLostTheLockTellsOfNoLeaves has another bot take over, which tells itself who is there.
func TestWhoLostTheLockTellsOfNoLeaves(t *testing.T) {
	r := newRig(t)
	r.standBy()
	must(t, r.channel.Join("alice"))
	r.startJoined()
	js, err := jetstream.New(r.nats.Client())
	must(t, err)
	bucket, err := js.KeyValue(t.Context(), prefix+"_locks")
	must(t, err)
	_, err = bucket.Put(t.Context(), "leader", []byte(`{"pod":"rival","uid":"1","process":"2"}`))
	must(t, err)
	r.eventually("it leaves", func() bool { return !r.isThere() })
	r.eventually("it stands by", func() bool { return r.bot.Leader() == "rival" && r.bot.Check().OK })
	must(t, r.pub.Flush(t.Context()))
	if left := r.service.on(bus.UserLeft); len(left) > 0 {
		t.Errorf("told %v", left)
	}
	// The rival renews nothing.
	r.awaitJoined()
	if taken := r.metric("rosey_bot_lock_transitions_total", "expired"); taken != 1 {
		t.Errorf("taken %v times from a holder that did not renew", taken)
	}
}

func TestALeaderThatCannotGetInLetsAnotherTry(t *testing.T) {
	r := newRig(t)
	r.standBy()
	r.timings.GiveUp, r.timings.StandBack = 50*time.Millisecond, 200*time.Millisecond
	r.cable.Cut()
	r.start()
	r.awaitReason(status.ReasonServerUnreachable)
	term := r.awaitWon(r.rival())
	if term.Reason() != leader.AcquiredReleased {
		t.Errorf("taken as %s", term.Reason())
	}
	r.eventually("it stands by", func() bool { return r.bot.Check().Reason == status.ReasonStandby })
	r.cable.Mend()
	must(t, term.Release(t.Context()))
	r.awaitJoined()
}

// TestABannedLeaderKeepsTheLock has a cause that would keep out every bot of ours.
func TestABannedLeaderKeepsTheLock(t *testing.T) {
	r := newRig(t)
	r.standBy()
	r.timings.GiveUp = time.Millisecond
	r.startJoined()
	won := r.rival()
	must(t, r.channel.Ban("Rosey", "enough"))
	r.eventually("some tries", func() bool { return r.reconnects(status.ReasonBanned) > 3 })
	select {
	case <-won:
		t.Error("it gave up the lock")
	default:
	}
	must(t, r.channel.Unban("Rosey"))
	r.awaitJoined()
}
