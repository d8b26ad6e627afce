package bot

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/status"
)

// TestReconnects ends the connection in every way. The bot reports the reason and joins again. It has lost its channel
// once, however many attempts to join failed.
func TestReconnects(t *testing.T) {
	tests := map[string]struct {
		out    func(*rig) error
		reason status.Reason
		back   func(*rig) error
	}{
		"kicked": {out: func(r *rig) error { return r.channel.Kick("Rosey", "be nice") }, reason: status.ReasonKicked},
		"banned": {
			out:    func(r *rig) error { return r.channel.Ban("Rosey", "enough") },
			reason: status.ReasonBanned,
			back: func(r *rig) error {
				// The server refuses the next attempt, too.
				r.eventually("another attempt", func() bool { return r.reconnects(status.ReasonBanned) > 1 })
				return r.channel.Unban("Rosey")
			},
		},
		"namespace disconnect": {
			out: func(r *rig) error { return r.channel.Disconnect("Rosey") }, reason: status.ReasonDisconnected},
		"connection dropped": {
			out: func(r *rig) error { return r.channel.Drop("Rosey") }, reason: status.ReasonServerUnreachable},
		"server restarted": {
			out:    func(r *rig) error { r.sim.Restart(100 * time.Millisecond); return nil },
			reason: status.ReasonServerUnreachable},
		"logins refused for a while": {
			out: func(r *rig) error {
				r.sim.RefuseLogins(200*time.Millisecond, "")
				return r.channel.Drop("Rosey")
			},
			reason: status.ReasonLoginRefused},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.startJoined()
			must(t, test.out(r))
			r.eventually("reason "+string(test.reason), func() bool { return r.reconnects(test.reason) > 0 })
			if test.back != nil {
				must(t, test.back(r))
			}
			r.awaitJoined()
			// A banned bot may be let in and kicked at once.
			if lost := r.sessionsLost(); lost < 1 || (lost > 1 && test.back == nil) {
				t.Errorf("%v sessions were lost, want 1", lost)
			}
		})
	}
}

func (r *rig) reconnects(reason status.Reason) float64 {
	return r.metric("rosey_bot_reconnects_total", string(reason))
}

func (r *rig) sessionsLost() (all float64) {
	for _, reason := range reconnectReasons {
		all += r.metric("rosey_bot_sessions_lost_total", string(reason))
	}
	return all
}

func TestTooManyConnectionsFromOneAddress(t *testing.T) {
	r := newRigWith(t, simulator.Options{Limits: simulator.Limits{Connections: 1}})
	other, err := cytube.Dial(t.Context(), cytube.Options{Server: r.config.Channel.Server, Channel: "movienight"})
	must(t, err)
	t.Cleanup(other.Close)
	r.start()
	check := r.awaitReason(status.ReasonConnectionLimited)
	if !strings.Contains(check.Message, "Too many connections from your IP address") {
		t.Errorf("message %q", check.Message)
	}
	other.Close()
	r.awaitJoined()
}

func TestConnectionsAreRateLimited(t *testing.T) {
	limits := simulator.Limits{ConnectBurst: 1, ConnectInterval: 300 * time.Millisecond}
	r := newRigWith(t, simulator.Options{Limits: limits})
	r.startJoined()
	must(t, r.channel.Drop("Rosey"))
	check := r.awaitReason(status.ReasonConnectionLimited)
	if !strings.Contains(check.Message, "Rate limit exceeded") {
		t.Errorf("message %q", check.Message)
	}
	r.awaitJoined()
	if lost := r.sessionsLost(); lost != 1 {
		t.Errorf("%v sessions were lost, want 1: failed attempts do not count", lost)
	}
}

// TestGuestLoginsAreLimited checks that a guest waits as long as the server requires, and not twice as long.
func TestGuestLoginsAreLimited(t *testing.T) {
	r := newRigWith(t, simulator.Options{Limits: simulator.Limits{GuestLoginDelay: time.Second}})
	r.config.Account = &config.Account{Username: "visitor"}
	r.start()
	r.awaitReason(status.ReasonJoined)
	must(t, r.channel.Drop("visitor"))
	r.awaitReason(status.ReasonLoginLimited)
	r.awaitReason(status.ReasonJoined)
	if refused := r.reconnects(status.ReasonLoginLimited); refused != 1 {
		t.Errorf("%v logins refused", refused)
	}
}

func TestShortestPauses(t *testing.T) {
	timings := defaultTimings()
	for reason, least := range map[status.Reason]time.Duration{
		status.ReasonKicked: 10 * time.Second, status.ReasonBanned: 15 * time.Minute,
		status.ReasonConnectionLimited: 10 * time.Second, status.ReasonDisconnected: time.Second,
	} {
		if wait := newAttempt(timings).pause(&cytube.Error{Reason: reason}); wait < least {
			t.Errorf("%s: pause of %s", reason, wait)
		}
	}
}

// TestAServerIsNotLeftForLongerThanItDemands: however often it refuses, a bot waits a few seconds more at most, or
// about a minute where that makes refusals fewer.
func TestAServerIsNotLeftForLongerThanItDemands(t *testing.T) {
	t.Parallel()
	for _, reason := range []status.Reason{
		status.ReasonServerUnreachable, status.ReasonConnectionLimited, status.ReasonLoginLimited,
	} {
		for _, demanded := range []time.Duration{
			time.Second, 10 * time.Second, 26 * time.Second, time.Minute, 10 * time.Minute,
		} {
			next := newAttempt(defaultTimings())
			for refusals := range 10 {
				pause := next.pause(&cytube.Error{Reason: reason, RetryAfter: demanded})
				if most := max(demanded+maxSpread, 70*time.Second); pause < demanded || pause > most {
					t.Errorf("%s: %s demanded, waits %s after %d refusals", reason, demanded, pause, refusals+1)
				}
			}
		}
	}
}

// TestABusyServerIsNoOutage: when the server is back after a long outage and refuses the bot for a limit, the bot does
// not wait as if the outage went on.
func TestABusyServerIsNoOutage(t *testing.T) {
	t.Parallel()
	next := newAttempt(defaultTimings())
	for range 20 {
		next.pause(&cytube.Error{Reason: status.ReasonServerUnreachable})
	}
	busy := &cytube.Error{Reason: status.ReasonServerUnreachable, Status: http.StatusServiceUnavailable}
	if pause := next.pause(busy); pause > next.timings.RetryMin {
		t.Errorf("the first pause for a busy server is %s", pause)
	}
	for range 20 {
		next.pause(busy)
	}
	if pause := next.pause(busy); pause < next.timings.RetryMax/2 {
		t.Errorf("a server that stays busy is asked again after %s", pause)
	}
}
