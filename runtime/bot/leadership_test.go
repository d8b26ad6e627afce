package bot

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/leader"
	"rosey.dev/rosey/runtime/status"
)

// standBy has the bot stand by for a leadership that expires after a second.
func (r *rig) standBy() {
	r.t.Helper()
	dir := r.t.TempDir()
	r.nats.Restart(func(o *server.Options) { o.JetStream, o.StoreDir = true, dir })
	r.elector = &leader.Options{Pod: r.instance, TTL: time.Second}
}

func (r *rig) leaderKey() string {
	return leader.KeyName(r.config.Channel.Server, r.config.Channel.Name)
}

// otherLeads has another pod take the leadership. It does not renew it.
func (r *rig) otherLeads() {
	r.t.Helper()
	js, err := jetstream.New(r.nats.Client())
	must(r.t, err)
	bucket, err := js.KeyValue(r.t.Context(), prefix+"_locks")
	must(r.t, err)
	_, err = bucket.Put(r.t.Context(), r.leaderKey(), []byte(`{"pod":"other","uid":"1","process":"2"}`))
	must(r.t, err)
}

// candidate campaigns as another pod. The channel that it returns gets the leadership.
func (r *rig) candidate() <-chan *leader.Leadership {
	r.t.Helper()
	subjects, err := bus.NewSubjects(prefix)
	must(r.t, err)
	conn, err := bus.Connect(r.t.Context(), bus.Options{URL: r.nats.URL(), Log: natstest.Log(r.t)})
	must(r.t, err)
	elector := leader.New(leader.Options{
		Conn: conn, Subjects: subjects, Log: natstest.Log(r.t), Pod: "other", TTL: time.Second,
		Server: r.config.Channel.Server, Channel: r.config.Channel.Name,
	})
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	won := make(chan *leader.Leadership, 1)
	var worker sync.WaitGroup
	worker.Go(func() {
		leadership, err := elector.Acquire(ctx, func(leader.Observation) {})
		if err != nil {
			return
		}
		won <- leadership
		<-ctx.Done()
		_ = leadership.Release(context.WithoutCancel(ctx))
	})
	r.t.Cleanup(func() { cancel(); worker.Wait(); conn.Close() })
	return won
}

func (r *rig) awaitWon(won <-chan *leader.Leadership) *leader.Leadership {
	r.t.Helper()
	var leadership *leader.Leadership
	r.eventually("the other pod to lead", func() bool {
		select {
		case leadership = <-won:
			return true
		default:
			return false
		}
	})
	return leadership
}

// TestALeaderThatCannotRenewIsSilent checks that the leader stays in the channel and publishes events, but says
// nothing.
func TestALeaderThatCannotRenewIsSilent(t *testing.T) {
	r := newRig(t)
	r.standBy()
	must(t, r.channel.Join("alice"))
	must(t, r.channel.Join("mod"))
	r.startJoined()
	r.nats.Stop()
	r.eventually("the leadership to expire", func() bool { return !r.bot.leads() })
	r.say("alice", "!uptime")
	_, err := r.channel.PM("mod", "Rosey", "info")
	must(t, err)
	r.say("alice", "anybody there?")
	r.eventually("both lines are handled", func() bool { return r.metric("rosey_cytube_events_total", "chatMsg") == 2 })
	if check := r.bot.Check(); check.Reason != status.ReasonJoined || r.bot.Leader() != "" {
		t.Errorf("check %+v, leader %q", check, r.bot.Leader())
	}
	r.nats.Restart()
	r.eventually("it leads again", func() bool { return r.bot.Leader() == r.instance })
	r.eventually("both lines are published", func() bool { return len(r.service.on(bus.MessageLog)) == 2 })
	r.say("alice", "!help")
	r.eventually("an answer", func() bool { return len(r.linesOf("Rosey")) == 1 })
	if lines := r.linesOf("Rosey"); !strings.HasPrefix(lines[0], "Commands:") || len(r.pms("mod")) > 0 {
		t.Errorf("it replied to commands of the time when it did not lead: %v, %v", lines, r.pms("mod"))
	}
}

// TestTwoLoginsDoNotKickEachOther checks that the bot does not log in again before its pause is over when somebody logs
// in with the account while the bot cannot renew its leadership, which is still valid for a moment.
func TestTwoLoginsDoNotKickEachOther(t *testing.T) {
	r := newRig(t)
	r.standBy()
	r.timings.MinPauses[status.ReasonDuplicateLogin] = 3 * time.Second
	r.startJoined()
	r.nats.Stop()
	other, err := cytube.Dial(t.Context(), cytube.Options{
		Server: r.config.Channel.Server, Channel: "movienight", Username: "Rosey", Password: accountPassword})
	must(t, err)
	t.Cleanup(other.Close)
	r.awaitReason(status.ReasonDuplicateLogin)
	r.eventually("the leadership to expire", func() bool { return !r.bot.leads() })
	check, times := r.bot.Check(), r.reconnects(status.ReasonDuplicateLogin)
	if check.Reason != status.ReasonDuplicateLogin || times != 1 {
		t.Errorf("disconnected %v times, check %+v", times, check)
	}
	other.Close()
	r.nats.Restart()
	r.awaitJoined()
}

// TestAReplacedLeaderThatLeadsAgainJoinsAtOnce checks that the login of another leader, which ends the session of this
// one, causes no pause.
func TestAReplacedLeaderThatLeadsAgainJoinsAtOnce(t *testing.T) {
	r := newRig(t)
	r.standBy()
	r.timings.MinPauses[status.ReasonDuplicateLogin] = time.Hour
	r.startJoined()
	other, err := cytube.Dial(t.Context(), cytube.Options{
		Server: r.config.Channel.Server, Channel: "movienight", Username: "Rosey", Password: accountPassword})
	must(t, err)
	t.Cleanup(other.Close)
	r.awaitReason(status.ReasonDuplicateLogin)
	r.otherLeads()
	r.eventually("it stands by", func() bool { return r.bot.Leader() == "other" && r.bot.Check().OK })
	other.Close()
	r.awaitJoined() // the other pod does not renew
}

// TestAFormerLeaderPublishesNoDepartures checks this after another bot took over, which publishes who is there.
func TestAFormerLeaderPublishesNoDepartures(t *testing.T) {
	r := newRig(t)
	r.standBy()
	must(t, r.channel.Join("alice"))
	r.startJoined()
	r.otherLeads()
	r.eventually("it leaves", func() bool { return !r.isThere() })
	r.eventually("it stands by", func() bool { return r.bot.Leader() == "other" && r.bot.Check().OK })
	must(t, r.pub.Flush(t.Context()))
	if left := r.service.on(bus.UserLeft); len(left) > 0 {
		t.Errorf("published %v", left)
	}
	// The other pod does not renew.
	r.awaitJoined()
	if taken := r.metric("rosey_bot_lock_transitions_total", "expired"); taken != 1 {
		t.Errorf("acquired %v times from a holder that did not renew", taken)
	}
}

func TestALeaderThatCannotJoinResigns(t *testing.T) {
	r := newRig(t)
	r.standBy()
	r.timings.ResignAfter, r.timings.ResignPause = 50*time.Millisecond, 200*time.Millisecond
	r.cable.Cut()
	r.start()
	r.awaitReason(status.ReasonServerUnreachable)
	leadership := r.awaitWon(r.candidate())
	if leadership.Reason() != leader.AcquiredReleased {
		t.Errorf("acquired as %s", leadership.Reason())
	}
	r.eventually("it stands by", func() bool { return r.bot.Check().Reason == status.ReasonStandby })
	r.cable.Restore()
	must(t, leadership.Release(t.Context()))
	r.awaitJoined()
}

// TestABannedLeaderDoesNotResign checks that a leader keeps the leadership if its problem applies to every replica.
func TestABannedLeaderDoesNotResign(t *testing.T) {
	r := newRig(t)
	r.standBy()
	r.timings.ResignAfter = time.Millisecond
	r.startJoined()
	won := r.candidate()
	must(t, r.channel.Ban("Rosey", "enough"))
	r.eventually("some attempts", func() bool { return r.reconnects(status.ReasonBanned) > 3 })
	select {
	case <-won:
		t.Error("it resigned")
	default:
	}
	must(t, r.channel.Unban("Rosey"))
	r.awaitJoined()
}

// TestTheOnlyBotStaysWhenAStandbyIsAdded checks that the bot in the channel neither leaves nor joins again, and that it
// needs no JetStream as long as it is the only one.
func TestTheOnlyBotStaysWhenAStandbyIsAdded(t *testing.T) {
	r := newRig(t)
	var added atomic.Bool
	r.elector = &leader.Options{Pod: r.instance, TTL: time.Second, Alone: func() bool { return !added.Load() }}
	r.startJoined() // NATS has no JetStream
	dir := t.TempDir()
	r.nats.Restart(func(o *server.Options) { o.JetStream, o.StoreDir = true, dir })
	js, err := jetstream.New(r.nats.Client())
	must(t, err)
	r.eventually("it has the leader key", func() bool {
		bucket, err := js.KeyValue(t.Context(), prefix+"_locks")
		if err != nil {
			return false
		}
		_, err = bucket.Get(t.Context(), r.leaderKey())
		return err == nil
	})
	added.Store(true)
	won := r.candidate()
	r.eventually("it knows of the other", func() bool { return !r.bot.leadership.Load().Alone() })
	select {
	case <-won:
		t.Error("the other bot leads")
	default:
	}
	if check := r.bot.Check(); check.Reason != status.ReasonJoined || r.bot.Leader() != r.instance {
		t.Errorf("check %+v, leader %q", check, r.bot.Leader())
	}
	must(t, r.stop())
	r.awaitWon(won)
	if joins := r.metric("rosey_bot_lock_transitions_total", "alone"); joins != 1 {
		t.Errorf("it led %v times", joins)
	}
}

// TestTheOnlyBotIsNoStandby checks that a bot that waits for another leader is ready only if it is a standby: a bot
// that is meant to be alone is not in its channel.
func TestTheOnlyBotIsNoStandby(t *testing.T) {
	r := newRig(t)
	r.standBy()
	r.elector.Alone = func() bool { return true }
	r.awaitWon(r.candidate())
	r.start()
	check := r.awaitReason(status.ReasonStarting)
	r.eventually("it names the leader", func() bool {
		check = r.bot.Check()
		return strings.Contains(check.Message, "other")
	})
	if check.OK {
		t.Errorf("it is ready: %+v", check)
	}
}
