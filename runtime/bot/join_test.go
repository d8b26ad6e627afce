package bot

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/status"
)

// TestJoinsOnceTheCauseIsRemoved starts the bot where it cannot join. It reports the reason, and joins by itself once
// the cause is removed.
func TestJoinsOnceTheCauseIsRemoved(t *testing.T) {
	tests := map[string]struct {
		prepare func(*rig)
		mend    func(*rig)
		reason  status.Reason
		message string
	}{
		"wrong account password": {
			prepare: func(r *rig) { writeSecret(r.t, r.config.Account.PasswordFile, wrongPassword) },
			mend:    func(r *rig) { writeSecret(r.t, r.config.Account.PasswordFile, accountPassword) },
			reason:  status.ReasonLoginRefused,
			message: "login as rosey refused: Invalid username/password combination",
		},
		"absent account password": {
			prepare: func(r *rig) { must(r.t, os.Remove(r.config.Account.PasswordFile)) },
			mend:    func(r *rig) { writeSecret(r.t, r.config.Account.PasswordFile, accountPassword) },
			reason:  status.ReasonAccountPasswordAbsent,
			message: "password is absent or empty",
		},
		"unreadable account password": {
			prepare: func(r *rig) { r.config.Account.PasswordFile = r.t.TempDir() },
			mend: func(r *rig) {
				must(r.t, os.Remove(r.config.Account.PasswordFile))
				writeSecret(r.t, r.config.Account.PasswordFile, accountPassword)
			},
			reason:  status.ReasonAccountPasswordAbsent,
			message: "is unreadable",
		},
		"guest name taken": {
			prepare: func(r *rig) {
				r.config.Account = &config.Account{Username: "visitor"}
				must(r.t, r.channel.Join("visitor"))
			},
			mend:    func(r *rig) { must(r.t, r.channel.Leave("visitor")) },
			reason:  status.ReasonNameTaken,
			message: "login as visitor refused: That name is already in use on this channel.",
		},
		"wrong channel password": {
			prepare: func(r *rig) { r.asPlain(); r.private(secret(r.t, wrongPassword)) },
			mend:    func(r *rig) { writeSecret(r.t, r.config.Channel.PasswordFile, channelPassword) },
			reason:  status.ReasonChannelPasswordWrong,
			message: "channel private refuses the channel password",
		},
		"absent channel password": {
			prepare: func(r *rig) { r.private(filepath.Join(r.t.TempDir(), "later")) },
			mend:    func(r *rig) { writeSecret(r.t, r.config.Channel.PasswordFile, channelPassword) },
			reason:  status.ReasonChannelPasswordAbsent,
			message: "later is absent or empty",
		},
		"no server": {
			prepare: func(r *rig) { r.cable.Cut() },
			mend:    func(r *rig) { r.cable.Restore() },
			reason:  status.ReasonServerUnreachable,
			message: "cannot reach http://127.0.0.1",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			test.prepare(r)
			r.start()
			if check := r.awaitReason(test.reason); !strings.Contains(check.Message, test.message) {
				t.Errorf("message %q, want %q", check.Message, test.message)
			}
			if len(r.service.all()) > 0 {
				t.Errorf("events of a channel that it is not in: %v", r.service.all())
			}
			test.mend(r)
			r.awaitReason(status.ReasonJoined)
		})
	}
}

// private has the bot join the channel with a password.
func (r *rig) private(passwordFile string) {
	r.channel = r.sim.Channel("private")
	r.config.Channel.Name = "private"
	r.config.Channel.PasswordFile = passwordFile
}

func TestChannelPassword(t *testing.T) {
	r := newRig(t)
	r.private(secret(t, channelPassword))
	r.startJoined()
}

// TestAModeratorNeedsNoChannelPassword is what CyTube allows, also when the password that is configured is wrong.
func TestAModeratorNeedsNoChannelPassword(t *testing.T) {
	for name, file := range map[string]string{"none": "", "a wrong one": secret(t, wrongPassword)} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.private(file)
			must(t, r.channel.Join("owner"))
			r.startJoined()
			r.eventually("everybody is published as joined", func() bool { return len(r.service.on(bus.UserJoined)) == 2 })
			r.say("owner", "!uptime")
			r.eventually("an answer", func() bool { return len(r.linesOf("Rosey")) == 1 })
		})
	}
}

func TestSomebodyElseLogsIn(t *testing.T) {
	r := newRig(t)
	r.startJoined()
	other, err := cytube.Dial(t.Context(), cytube.Options{
		Server: r.config.Channel.Server, Channel: "movienight", Username: "Rosey", Password: accountPassword})
	must(t, err)
	t.Cleanup(other.Close)
	check := r.awaitReason(status.ReasonDuplicateLogin)
	if check.Message != "somebody else logged in with the bot's account" {
		t.Errorf("message %q", check.Message)
	}
	r.awaitJoined()
}

func TestAChangedPasswordEndsThePause(t *testing.T) {
	r := newRig(t)
	writeSecret(t, r.config.Account.PasswordFile, wrongPassword)
	r.timings.RetryMin, r.timings.RetryMax = time.Hour, time.Hour
	r.start()
	r.awaitReason(status.ReasonLoginRefused)
	writeSecret(t, r.config.Account.PasswordFile, accountPassword)
	r.awaitJoined() // long before the next attempt is due
}

func TestPauses(t *testing.T) {
	timings := defaultTimings()
	next := newAttempt(timings)
	lost := &cytube.Error{Reason: status.ReasonServerUnreachable}
	for i, longest := range []int{2, 4, 8, 16, 30, 30} {
		expectDelay(t, next.pause(lost), time.Duration(longest)*time.Second/2, time.Duration(longest)*time.Second)
		if i == 2 {
			next.sessionEnded(time.Second) // a short session does not reset the back-off
		}
	}
	for range 100 {
		expectDelay(t, next.pause(lost), 15*time.Second, 30*time.Second)
	}
	next.sessionEnded(steadySession)
	expectDelay(t, next.pause(lost), time.Second, 2*time.Second)
	// A limit's own interval replaces the back-off of an outage before it.
	limited := &cytube.Error{Reason: status.ReasonConnectionLimited}
	for range 5 {
		next.pause(lost)
	}
	expectDelay(t, next.pause(limited), 10*time.Second, 13*time.Second)
	expectDelay(t, next.pause(limited), 10*time.Second, 66*time.Second)
	next.pause(lost) // no refusal
	guest := &cytube.Error{Reason: status.ReasonLoginLimited, RetryAfter: 90 * time.Second}
	expectDelay(t, next.pause(guest), 90*time.Second, 93*time.Second)
	absent := &cytube.Error{Reason: status.ReasonAccountPasswordAbsent}
	expectDelay(t, next.pause(absent), timings.Secrets, timings.Secrets)
}

func expectDelay(t *testing.T, got, least, most time.Duration) {
	t.Helper()
	if got < least || got > most {
		t.Errorf("pause of %s, want %s to %s", got, least, most)
	}
}
