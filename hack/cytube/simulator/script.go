package simulator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// ErrScriptRunning reports that the channel's script is already running.
var ErrScriptRunning = errors.New("a script is running already")

// defaultPace is the pace of a busy channel.
const defaultPace = 800 * time.Millisecond

// ScriptOptions configures a script of simulated people.
type ScriptOptions struct {
	// Duration of the script. At its end, everybody leaves. Zero: until the server closes.
	Duration time.Duration
	// Seed determines the actions: the same seed gives the same actions and lines in the same order.
	Seed uint64
	// Pace is the mean time between two actions. Zero: 800 ms.
	Pace time.Duration
}

// ScriptState is the state of a script.
type ScriptState string

// The states of a script.
const (
	ScriptIdle    ScriptState = "idle" // none was started
	ScriptRunning ScriptState = "running"
	ScriptDone    ScriptState = "done"
)

// ScriptStatus is the progress of a channel's last script.
type ScriptStatus struct {
	State   ScriptState `json:"state"`
	Seed    uint64      `json:"seed"`
	Started int64       `json:"started,omitempty"` // Unix ms
	Ended   int64       `json:"ended,omitempty"`   // Unix ms
	Joins   int         `json:"joins"`
	Lines   int         `json:"lines"`
	Leaves  int         `json:"leaves"`
}

// Script returns the progress of the channel's last script.
func (c *Channel) Script() ScriptStatus {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	status := c.script
	if status.State == "" {
		status.State = ScriptIdle
	}
	return status
}

// StartScript starts a script of simulated people and returns at once. The script ends after its duration or with the
// server.
func (c *Channel) StartScript(options ScriptOptions) error {
	if options.Duration < 0 || options.Pace < 0 {
		return fmt.Errorf("script of channel %s: duration %s, pace %s: neither can be negative",
			c.name, options.Duration, options.Pace)
	}
	if options.Pace == 0 {
		options.Pace = defaultPace
	}
	if !c.srv.begin() {
		return fmt.Errorf("script of channel %s: the server is closed", c.name)
	}
	if !c.claimScript(options.Seed) {
		c.srv.running.Done()
		return fmt.Errorf("script of channel %s: %w", c.name, ErrScriptRunning)
	}
	go func() {
		defer c.srv.running.Done()
		c.runScript(c.srv.stopped, options)
	}()
	return nil
}

func (c *Channel) claimScript(seed uint64) bool {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	if c.script.State == ScriptRunning {
		return false
	}
	c.script = ScriptStatus{State: ScriptRunning, Seed: seed, Started: time.Now().UnixMilli()}
	return true
}

func (c *Channel) runScript(ctx context.Context, options ScriptOptions) {
	if options.Duration > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, options.Duration)
		defer cancel()
	}
	evening := newEvening(options.Seed)
	came := map[string]bool{} // excludes users who already had such a name
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			for _, user := range evening.inside {
				c.perform(action{kind: KindLeave, user: user}, came)
			}
			c.endScript()
			return
		}
		next := evening.next()
		c.perform(next, came)
		timer.Reset(time.Duration(next.pause * float64(options.Pace)))
	}
}

// perform does one action of the script and counts it. It ignores users with a name of the cast who joined otherwise.
func (c *Channel) perform(a action, came map[string]bool) {
	if a.kind != KindJoin && !came[a.user] {
		return
	}
	var err error
	var counter *int
	switch a.kind {
	case KindJoin:
		counter, err = &c.script.Joins, c.Join(a.user)
		came[a.user] = err == nil
	case KindLeave:
		counter, err = &c.script.Leaves, c.Leave(a.user)
	default:
		counter = &c.script.Lines
		_, err = c.Say(a.user, a.text)
	}
	if err != nil {
		c.srv.options.Logger.Info("script went on without", slog.Any("error", err))
		return
	}
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	*counter++
}

func (c *Channel) endScript() {
	c.srv.mu.Lock()
	defer c.srv.mu.Unlock()
	c.script.State, c.script.Ended = ScriptDone, time.Now().UnixMilli()
}
