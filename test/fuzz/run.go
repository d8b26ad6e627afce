package fuzz

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/test/chaos"
)

const (
	// chatPace is the time between two actions of the people in the channel, which are mostly lines.
	chatPace = 250 * time.Millisecond
	// warmUp is how long only honest traffic runs before the processes are measured.
	warmUp = 3 * time.Second
	// verifyLimit bounds everything that has to come true after the last operation.
	verifyLimit = 3 * time.Minute
	// shownOperations is how many of the last operations a failure shows.
	shownOperations = 10
	// diskLimit is the size of a claim unless the RoseyBot says otherwise.
	diskLimit = 1 << 30
)

// Options configure a run.
type Options struct {
	// Seed determines what is sent.
	Seed uint64
	// Duration is how long the hostile client sends.
	Duration time.Duration
	// Only restricts the kinds of operations. Empty: all.
	Only []Kind
	// Limits are the memory limits in bytes, by the name of the process.
	Limits map[string]int64
	// Groups enforce the limits. Nil: they are only measured.
	Groups *Groups
	// Say logs each operation.
	Say func(format string, args ...any)
}

// run is a run in progress.
type run struct {
	Options

	world   *chaos.Processes
	hostile *hostile
	honest  *honest

	operations    int
	last          []string // operations
	before, after map[string]Usage
	rows, stream  int64 // bytes on disk
}

// Run runs a hostile client against processes that have just been started. It returns a report, and an error if
// something that must hold does not, or if the run could not be completed.
func Run(ctx context.Context, world *chaos.Processes, o Options) (report string, err error) {
	r := &run{
		Options: o, world: world,
	}
	url, subjects := world.Bus()
	conn, err := nats.Connect(url, nats.Name("honest"), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true))
	if err != nil {
		return "", fmt.Errorf("connecting the honest client to NATS: %w", err)
	}
	defer conn.Close()
	r.honest = &honest{conn: conn, subjects: subjects, run: fmt.Sprintf("seed %d", o.Seed)}
	if err := r.until(ctx, "the processes to be ready", func() error { return r.ready(ctx) }); err != nil {
		return "", err
	}
	if r.hostile, err = newHostile(url, subjects); err != nil {
		return "", err
	}
	defer r.hostile.conn.Close()
	err = r.play(ctx)
	if err == nil {
		err = r.verify(ctx)
	}
	return r.report(), err
}

// ready returns nil if every process is ready and the bot is in the channel.
func (r *run) ready(ctx context.Context) error {
	if err := r.world.Healthy(ctx); err != nil {
		return err
	}
	seen, err := r.world.CyTube().Seen(ctx, r.world.Bot())
	if err == nil && !seen.Present() {
		err = fmt.Errorf("%s is not in the channel", seen.Bot)
	}
	return err
}

// play sends what is hostile beside what is honest. It returns when both have ended.
func (r *run) play(ctx context.Context) error {
	load, stop := context.WithCancel(ctx)
	var workers sync.WaitGroup
	workers.Go(func() { r.world.CyTube().Chat(load, r.Seed, chatPace) })
	workers.Go(func() { r.honest.work(load) })
	workers.Go(func() { r.watch(load) })
	err := r.underLoad(load)
	stop()
	workers.Wait()
	return err
}

// watch reads the server's log regularly, since the server drops old entries.
func (r *run) watch(ctx context.Context) {
	for backoff.Sleep(ctx, time.Second) {
		_, _ = r.world.CyTube().Seen(ctx, r.world.Bot()) // after an error the next call reads the same entries
	}
}

func (r *run) underLoad(ctx context.Context) error {
	backoff.Sleep(ctx, warmUp)
	var err error
	if r.before, err = Measure(ctx, r.world.List()); err != nil {
		return err
	}
	kinds := slices.DeleteFunc(Kinds(), func(kind Kind) bool { return len(r.Only) > 0 && !slices.Contains(r.Only, kind) })
	if len(kinds) == 0 {
		return fmt.Errorf("no known operation in %q: expected some of %q", r.Only, Kinds())
	}
	operations := newSchedule(r.Seed, kinds)
	for end := time.Now().Add(r.Duration); time.Now().Before(end) && ctx.Err() == nil; {
		if err := r.step(ctx, operations.next()); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// step plays one operation.
func (r *run) step(ctx context.Context, o Operation) error {
	r.last = append(r.last, o.String())
	r.last = r.last[max(0, len(r.last)-shownOperations):]
	r.operations++
	began, sent := time.Now(), r.hostile.sent
	if err := r.hostile.play(ctx, o); err != nil {
		return err
	}
	played := time.Since(began)
	err := r.hostile.caughtUp(ctx)
	r.Say("%s  %-34s %6d messages %6.1f MiB in %4.1fs, stored after %4.1fs%s", began.UTC().Format("15:04:05.000"), o,
		r.hostile.sent-sent, float64(r.hostile.streamed+r.hostile.other)/(1<<20), played.Seconds(),
		time.Since(began).Seconds(), r.memoryNow())
	return cmp.Or(r.alive(), err) //nolint:wrapcheck // both are ours
}

var errRestarted = errors.New("the process has exited")

// alive returns an error if a process was restarted.
func (r *run) alive() error {
	for _, process := range r.world.List() {
		if process.Starts > 1 || process.PID == 0 {
			reason := "see its log"
			if killed, err := r.killed(process.Name); err == nil && killed > 0 {
				reason = fmt.Sprintf("it took more than its memory limit of %d MiB", r.Limits[process.Name]>>20)
			}
			return fmt.Errorf("%s: %w: %s", process.Name, errRestarted, reason)
		}
		now, err := memoryOf(process.PID)
		if err == nil && now.Peak > r.Limits[process.Name] && r.Groups == nil {
			return fmt.Errorf("%s has taken %d MiB, more than its memory limit of %d MiB",
				process.Name, now.Peak>>20, r.Limits[process.Name]>>20)
		}
	}
	return nil
}

func (r *run) killed(name string) (int64, error) {
	if r.Groups == nil {
		return 0, nil
	}
	return r.Groups.Killed(name)
}

// memoryNow describes the memory of all processes.
func (r *run) memoryNow() (text string) {
	for _, process := range r.world.List() {
		if now, err := memoryOf(process.PID); err == nil {
			text += fmt.Sprintf(", %s %d MiB", process.Name, now.Own>>20)
		}
	}
	return text
}

// until waits until condition returns nil.
func (r *run) until(ctx context.Context, what string, condition func() error) error {
	ctx, cancel := context.WithTimeout(ctx, verifyLimit)
	defer cancel()
	for {
		err := condition()
		if err == nil {
			return nil
		}
		if errors.Is(err, errRestarted) {
			return err
		}
		if !backoff.Sleep(ctx, 200*time.Millisecond) {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
	}
}
