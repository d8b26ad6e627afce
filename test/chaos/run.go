// Package chaos injects faults into a running bot, like those of a cluster, while simulated people chat. Afterwards it
// compares the database with the log of the CyTube server. docs/reliability.md describes the runs and their results.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
)

// World is a set-up of the bot with all the servers it needs, into which faults can be injected.
type World interface {
	// Kinds returns the faults that it supports.
	Kinds() []Kind
	// CyTube returns the server. It is never killed, since its log is the reference for the comparison.
	CyTube() *CyTube
	// Bot returns the bot's name in the channel.
	Bot() string
	// Bus returns NATS's URL and the subjects, for putting lines into the outbound queue.
	Bus() (url string, subjects bus.Subjects)
	// Inject starts a fault. It returns the target's name, for people, and a function that ends the fault.
	Inject(ctx context.Context, fault Fault) (target string, repair Repair, err error)
	// Healthy returns nil if every component is ready.
	Healthy(ctx context.Context) error
	// Stored reads the database.
	Stored(ctx context.Context) (Stored, error)
}

// Repair is a function that ends a fault.
type Repair func(context.Context) error

// Options configure a run.
type Options struct {
	// Seed determines faults, people and lines.
	Seed uint64
	// Only restricts the kinds of faults. Empty: all that the World supports.
	Only []Kind
	// Duration is how long faults are injected.
	Duration time.Duration
	// Pace is the time between two actions of people, which are mostly lines. Default: 700 ms.
	Pace time.Duration
	// Announce is the time between two lines for the outbound queue. Default: 3 s.
	Announce time.Duration
	// Say logs the progress.
	Say func(format string, args ...any)
}

const (
	// recoveryLimit bounds the recovery from one fault. The kubelet delays the restart of a container that was killed
	// repeatedly by up to 5 minutes.
	recoveryLimit = 6 * time.Minute
	// completeLimit bounds the time until the database has everything: a line that a killed bot had claimed is given to
	// another bot only after a minute.
	completeLimit = 3 * time.Minute
)

// Result is a completed run.
type Result struct {
	Options

	Faults   []InjectedFault
	Findings Findings
	Absences []Absence
}

// Run plays a schedule. An error means that the run could not be completed; the bot's mistakes are in the findings.
func Run(ctx context.Context, world World, o Options) (Result, error) {
	if o.Pace == 0 {
		o.Pace = 700 * time.Millisecond
	}
	if o.Announce == 0 {
		o.Announce = 3 * time.Second
	}
	if len(o.kinds(world)) == 0 {
		return Result{Options: o}, fmt.Errorf("no supported fault in %q: expected some of %q", o.Only, world.Kinds())
	}
	r := &runner{world: world, options: o, people: newPeople(world.CyTube(), o.Seed)}
	r.announcer = NewAnnouncer(world, fmt.Sprintf("seed %d", o.Seed))
	if err := r.waitHealthy(ctx); err != nil {
		return Result{Options: o}, err
	}
	broken := r.underLoad(ctx) // compare what was said and stored even after an error
	seen, findings, err := r.waitComplete(ctx)
	result := Result{Options: o, Faults: r.faults, Findings: findings, Absences: Absences(seen, r.faults)}
	return result, errors.Join(broken, err)
}

type runner struct {
	world     World
	options   Options
	people    *people
	announcer *Announcer
	faults    []InjectedFault
}

// underLoad injects the faults while people chat.
func (r *runner) underLoad(ctx context.Context) error {
	load, stop := context.WithCancel(ctx)
	var workers sync.WaitGroup
	var queueing error
	workers.Go(func() { r.people.run(load, r.options.Pace) })
	workers.Go(func() { queueing = r.announcer.Work(load, r.options.Announce) })
	workers.Go(func() { r.watch(load) })
	err := r.injectFaults(ctx)
	stop()
	workers.Wait()
	return errors.Join(err, queueing)
}

// watch reads the server's log regularly, since the server drops old entries. After an error, the next call reads the
// same entries.
func (r *runner) watch(ctx context.Context) {
	for backoff.Sleep(ctx, 5*time.Second) {
		_ = r.world.CyTube().read(ctx)
	}
}

func (o Options) kinds(world World) []Kind {
	return slices.DeleteFunc(world.Kinds(), func(kind Kind) bool {
		return len(o.Only) > 0 && !slices.Contains(o.Only, kind)
	})
}

func (r *runner) injectFaults(ctx context.Context) error {
	end := time.Now().Add(r.options.Duration)
	for _, fault := range Schedule(r.options.Seed, r.options.Duration, r.options.kinds(r.world)) {
		if !backoff.Sleep(ctx, fault.Quiet) {
			return fmt.Errorf("between faults: %w", ctx.Err())
		}
		if time.Now().After(end) {
			return nil
		}
		happened, err := r.injectFault(ctx, fault)
		if err != nil {
			return err
		}
		r.faults = append(r.faults, happened)
	}
	return nil
}

func (r *runner) injectFault(ctx context.Context, fault Fault) (InjectedFault, error) {
	happened := InjectedFault{Fault: fault, Started: time.Now().UnixMilli()}
	r.people.paused.Store(fault.Kind == RestartCyTube)
	defer r.people.paused.Store(false)
	target, repair, err := r.world.Inject(ctx, fault)
	if err != nil {
		return happened, fmt.Errorf("%s: %w", fault.Kind, err)
	}
	happened.Target = target
	backoff.Sleep(ctx, fault.Lasts)
	// Also after ctx has ended: frozen processes could not be stopped.
	if err := repair(context.WithoutCancel(ctx)); err != nil {
		return happened, fmt.Errorf("the end of %s: %w", fault.Kind, err)
	}
	r.people.paused.Store(false)
	happened.Repaired = time.Now().UnixMilli()
	err = r.waitHealthy(ctx)
	happened.Recovered = time.Now().UnixMilli()
	if err != nil {
		return happened, fmt.Errorf("after %s (%s): %w", fault.Kind, target, err)
	}
	r.options.Say("%s  %-34s %-28s lasted %5.1fs, recovered after %5.1fs", clock(happened.Started), fault.Kind, target,
		seconds(happened.Repaired-happened.Started), seconds(happened.Recovered-happened.Repaired))
	return happened, nil
}

func seconds(ms int64) float64 { return float64(ms) / 1000 }

// waitHealthy waits until everything is ready and the bot is in the user list.
func (r *runner) waitHealthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, recoveryLimit)
	defer cancel()
	for {
		err := r.world.Healthy(ctx)
		if err == nil {
			err = r.present(ctx)
		}
		if err == nil {
			return nil
		}
		if !backoff.Sleep(ctx, 100*time.Millisecond) {
			return fmt.Errorf("not recovered within %s: %w", recoveryLimit, err)
		}
	}
}

func (r *runner) present(ctx context.Context) error {
	seen, err := r.world.CyTube().Seen(ctx, r.world.Bot())
	if err == nil && !seen.Present() {
		err = fmt.Errorf("%s is not in the channel", seen.Bot)
	}
	return err
}

// waitComplete compares until there are no differences or completeLimit has passed, and returns the last comparison.
func (r *runner) waitComplete(ctx context.Context) (seen Seen, findings Findings, err error) {
	limit, cancel := context.WithTimeout(ctx, completeLimit)
	defer cancel()
	for {
		seen, findings, err = r.compare(ctx)
		if err == nil && findings.Complete() {
			return seen, findings, nil
		}
		if !backoff.Sleep(limit, time.Second) {
			return seen, findings, err
		}
	}
}

func (r *runner) compare(ctx context.Context) (Seen, Findings, error) {
	seen, err := r.world.CyTube().Seen(ctx, r.world.Bot())
	if err != nil {
		return Seen{}, Findings{}, err
	}
	stored, err := r.world.Stored(ctx)
	if err != nil {
		return seen, Findings{}, err
	}
	return seen, Compare(seen, stored, r.announcer.Lines()), nil
}
