package bot

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/status"
)

const (
	// steadySession is how long a session must last to reset the back-off. A bot that is kicked right after every join
	// must not come back every two seconds.
	steadySession = time.Minute
	// confirmPoll is the time between two checks whether the leadership is confirmed again.
	confirmPoll = 50 * time.Millisecond
)

// keepJoined keeps the bot in its channel until ctx ends, or until the bot should resign its leadership.
func (b *Bot) keepJoined(ctx context.Context, next *attempt) {
	b.lastInChannel = time.Now()
	b.counts.every = b.timings.UserCount
	b.counts.begin(time.Now())
	for b.mayJoin(ctx, next) {
		used, err := b.readPasswords()
		if err == nil {
			began := time.Now()
			err = b.runSession(ctx, used)
			next.sessionEnded(time.Since(began))
		}
		problem := asProblem(err)
		if ctx.Err() != nil {
			return
		}
		b.reportFailed(problem)
		if b.shouldResign(problem) {
			return
		}
		before := *next
		next.schedule(problem)
		b.waitFor(ctx, next, used)
		if ctx.Err() != nil && problem.Reason == status.ReasonDuplicateLogin {
			// It was the new leader that logged in: the next renewal, which was due within the pause, has found that the
			// leadership is lost. If this bot leads again, nothing has to wait for the rest of the pause.
			*next = before
		}
	}
}

// asProblem gives every error a reason. An error without one is a failure of the network or the server.
func asProblem(err error) *cytube.Error {
	if problem, ok := errors.AsType[*cytube.Error](err); ok {
		return problem
	}
	return &cytube.Error{Reason: status.ReasonServerUnreachable, Message: err.Error()}
}

// attempt is the next attempt to join the channel. It outlives a leadership: a bot that loses the leadership while it
// waits, and acquires it again, must not start from the shortest pause.
type attempt struct {
	timings timings
	pauses  backoff.Backoff
	// busy is the back-off while a server answers that it is busy. It does not start where that of an outage has come to:
	// the server is up again, and refuses the bot because many come back at once.
	busy backoff.Backoff
	// refusals counts those in a row that were because of a limit of the server.
	refusals int
	// due is when the attempt may begin, and cause why it has to wait. The zero time: now.
	due   time.Time
	cause *cytube.Error
}

func newAttempt(t timings) *attempt {
	pauses := backoff.Backoff{Min: t.RetryMin, Max: t.RetryMax}
	return &attempt{timings: t, pauses: pauses, busy: pauses}
}

// sessionEnded resets the back-off after a session that lasted long enough, including the time to join.
func (a *attempt) sessionEnded(lasted time.Duration) {
	if lasted >= steadySession {
		a.pauses.Reset()
		a.busy.Reset()
	}
}

// schedule sets when the attempt after a failure is due.
func (a *attempt) schedule(cause *cytube.Error) {
	a.due, a.cause = time.Now().Add(a.pause(cause)), cause
}

func (a *attempt) pause(cause *cytube.Error) time.Duration {
	if isPasswordAbsent(cause.Reason) {
		return a.timings.Secrets // the server was not involved
	}
	if limit, limited := a.timings.limitOf(cause); limited {
		a.refusals++
		return limit.pause(a.refusals, time.Now())
	}
	a.refusals = 0
	if cause.Status == http.StatusServiceUnavailable {
		return a.busy.Next()
	}
	return max(a.pauses.Next(), a.timings.MinPauses[cause.Reason])
}

// mayJoin waits until the next attempt may begin, and reports whether it did before ctx ended.
func (b *Bot) mayJoin(ctx context.Context, next *attempt) bool {
	if rest := time.Until(next.due); rest > 0 {
		b.check.Set(false, next.cause.Reason, next.cause.Message)
		if !backoff.Sleep(ctx, rest) {
			return false
		}
	}
	for !b.leads() {
		b.reportUnconfirmed(b.leadership.Load())
		if !backoff.Sleep(ctx, confirmPoll) {
			return false
		}
	}
	return ctx.Err() == nil
}

// waitFor waits until the attempt is due, or until a password that the server refused has changed.
func (b *Bot) waitFor(ctx context.Context, next *attempt, used passwords) {
	for {
		rest := time.Until(next.due)
		if isPasswordRefused(next.cause.Reason) {
			rest = min(rest, b.timings.Secrets)
		}
		if !backoff.Sleep(ctx, rest) {
			return
		}
		changed := false
		if isPasswordRefused(next.cause.Reason) {
			now, err := b.readPasswords()
			changed = err == nil && now != used
		}
		if changed || !time.Now().Before(next.due) {
			next.due = time.Time{}
			return
		}
	}
}

// passwords are read again for every attempt, so that a Secret that is created or changed later takes effect.
type passwords struct{ account, channel string }

// readPasswords reads the files that the configuration names. The error is a *cytube.Error that names the file.
func (b *Bot) readPasswords() (passwords, error) {
	var read passwords
	var err error
	if account := b.config.Account; account != nil && account.PasswordFile != "" {
		read.account, err = config.ReadSecret(account.PasswordFile)
		if err != nil {
			return passwords{}, passwordAbsent(status.ReasonAccountPasswordAbsent, "account", account.PasswordFile, err)
		}
	}
	if file := b.config.Channel.PasswordFile; file != "" {
		read.channel, err = config.ReadSecret(file)
		if err != nil {
			return passwords{}, passwordAbsent(status.ReasonChannelPasswordAbsent, "channel", file, err)
		}
	}
	return read, nil
}

func passwordAbsent(reason status.Reason, kind, file string, err error) *cytube.Error {
	state := "unreadable"
	if errors.Is(err, config.ErrSecretAbsent) {
		state = config.ErrSecretAbsent.Error()
	}
	return &cytube.Error{
		Reason:  reason,
		Message: fmt.Sprintf("the %s password's file %s is %s", kind, file, state),
		Err:     err,
	}
}

// isPasswordAbsent reports whether the bot could not even contact the server, for want of a password.
func isPasswordAbsent(reason status.Reason) bool {
	return reason == status.ReasonAccountPasswordAbsent || reason == status.ReasonChannelPasswordAbsent
}

// isPasswordRefused reports whether another password can help.
func isPasswordRefused(reason status.Reason) bool {
	return reason == status.ReasonLoginRefused || reason == status.ReasonChannelPasswordWrong
}
