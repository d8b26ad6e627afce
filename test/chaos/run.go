// Package chaos breaks a running bot in every way that a cluster can, while people chat, and then holds the database
// against what the CyTube server saw. README.md of this folder says how.
package chaos

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// World is the bot with all it works with, and hands to break it.
type World interface {
	// Kinds are the faults that can happen in it.
	Kinds() []Kind
	// CyTube is the server, which is never killed: it is the witness.
	CyTube() *CyTube
	// Bot is our name in the channel.
	Bot() string
	// Bus is where NATS is, for whoever puts lines into the outbound queue, and the subjects.
	Bus() (url string, subjects bus.Subjects)
	// Break makes a fault and returns what it hit, for people, and how to end it.
	Break(ctx context.Context, fault Fault) (target string, mend Mend, err error)
	// Well is nil when every part says that it is ready.
	Well(ctx context.Context) error
	// Stored reads the database.
	Stored(ctx context.Context) (Stored, error)
}

// Mend ends a fault.
type Mend func(context.Context) error

// Options say how a run goes.
type Options struct {
	// Seed chooses faults, people and lines.
	Seed uint64
	// Only, when there are any, are the kinds that happen of those that can.
	Only []Kind
	// Duration is how long faults happen.
	Duration time.Duration
	// Pace is the time between two things that people do, nearly always lines. Default: 700 ms.
	Pace time.Duration
	// Announce is the time between two lines for the outbound queue. Default: 3 s.
	Announce time.Duration
	// Say hears what happens.
	Say func(format string, args ...any)
}

const (
	// wellLimit bounds the recovery from one fault. A container that was killed again and again waits up to 5 min.
	wellLimit = 6 * time.Minute
	// settleLimit bounds the time until the database has everything: a line that a dead bot had claimed is not given
	// to another for a minute.
	settleLimit = 3 * time.Minute
)

// Result is a run and what came of it.
type Result struct {
	Options

	Faults   []Happened
	Verdict  Verdict
	Absences []Absence
}

// Run plays a schedule. The error says that the run could not be carried out; what is wrong with the bot is in the
// verdict.
func Run(ctx context.Context, world World, o Options) (Result, error) {
	if o.Pace == 0 {
		o.Pace = 700 * time.Millisecond
	}
	if o.Announce == 0 {
		o.Announce = 3 * time.Second
	}
	if len(o.kinds(world)) == 0 {
		return Result{Options: o}, fmt.Errorf("no fault can happen: of %q, expected some of %q", o.Only, world.Kinds())
	}
	r := &runner{world: world, options: o, people: newPeople(world.CyTube(), o.Seed)}
	url, subjects := world.Bus()
	r.queuer = &queuer{url: url, subjects: subjects, run: fmt.Sprintf("seed %d", o.Seed)}
	if err := r.untilWell(ctx); err != nil {
		return Result{Options: o}, err
	}
	broken := r.underLoad(ctx) // what was seen and stored until then is judged all the same
	seen, verdict, err := r.judge(ctx)
	result := Result{Options: o, Faults: r.faults, Verdict: verdict, Absences: Absences(seen, r.faults)}
	return result, errors.Join(broken, err)
}

type runner struct {
	world   World
	options Options
	people  *people
	queuer  *queuer
	faults  []Happened
}

// underLoad makes the faults while people chat.
func (r *runner) underLoad(ctx context.Context) error {
	load, stop := context.WithCancel(ctx)
	var workers sync.WaitGroup
	var queueing error
	workers.Go(func() { r.people.run(load, r.options.Pace) })
	workers.Go(func() { queueing = r.queuer.work(load, r.options.Announce) })
	workers.Go(func() { r.watch(load) })
	err := r.breakThings(ctx)
	stop()
	workers.Wait()
	return errors.Join(err, queueing)
}

// watch reads the server's log all the time, before it forgets. What fails is read the next time, and at the end.
func (r *runner) watch(ctx context.Context) {
	for wait(ctx, 5*time.Second) {
		_ = r.world.CyTube().read(ctx)
	}
}

func (o Options) kinds(world World) []Kind {
	return slices.DeleteFunc(world.Kinds(), func(kind Kind) bool {
		return len(o.Only) > 0 && !slices.Contains(o.Only, kind)
	})
}

func (r *runner) breakThings(ctx context.Context) error {
	end := time.Now().Add(r.options.Duration)
	for _, fault := range Schedule(r.options.Seed, r.options.Duration, r.options.kinds(r.world)) {
		if !wait(ctx, fault.Quiet) {
			return fmt.Errorf("between faults: %w", ctx.Err())
		}
		if time.Now().After(end) {
			return nil
		}
		happened, err := r.breakOnce(ctx, fault)
		if err != nil {
			return err
		}
		r.faults = append(r.faults, happened)
	}
	return nil
}

func (r *runner) breakOnce(ctx context.Context, fault Fault) (Happened, error) {
	happened := Happened{Fault: fault, Began: time.Now().UnixMilli()}
	r.people.hushed.Store(fault.Kind == RestartCyTube)
	defer r.people.hushed.Store(false)
	target, mend, err := r.world.Break(ctx, fault)
	if err != nil {
		return happened, fmt.Errorf("%s: %w", fault.Kind, err)
	}
	happened.Target = target
	wait(ctx, fault.Lasts)
	// Even when ctx has ended: what is frozen could not be ended.
	if err := mend(context.WithoutCancel(ctx)); err != nil {
		return happened, fmt.Errorf("the end of %s: %w", fault.Kind, err)
	}
	r.people.hushed.Store(false)
	happened.Mended = time.Now().UnixMilli()
	err = r.untilWell(ctx)
	happened.Well = time.Now().UnixMilli()
	if err != nil {
		return happened, fmt.Errorf("after %s (%s): %w", fault.Kind, target, err)
	}
	r.options.Say("%s  %-34s %-28s lasted %5.1fs, all well after %5.1fs", clock(happened.Began), fault.Kind, target,
		seconds(happened.Mended-happened.Began), seconds(happened.Well-happened.Mended))
	return happened, nil
}

func seconds(ms int64) float64 { return float64(ms) / 1000 }

// untilWell waits until everything is ready and one of ours is in the user list.
func (r *runner) untilWell(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, wellLimit)
	defer cancel()
	for {
		err := r.world.Well(ctx)
		if err == nil {
			err = r.present(ctx)
		}
		if err == nil {
			return nil
		}
		if !wait(ctx, 100*time.Millisecond) {
			return fmt.Errorf("all is not well within %s: %w", wellLimit, err)
		}
	}
}

func (r *runner) present(ctx context.Context) error {
	cytube := r.world.CyTube()
	if err := cytube.read(ctx); err != nil {
		return err
	}
	now := time.Now().UnixMilli()
	seen := Seen{Entries: cytube.snapshot(), Bot: r.world.Bot(), End: now}
	if stays := seen.stays(seen.Bot); len(stays) == 0 || stays[len(stays)-1].to < now {
		return fmt.Errorf("%s is not in the channel", seen.Bot)
	}
	return nil
}

// judge compares until all is right, or for as long as things may take. What is wrong then is wrong.
func (r *runner) judge(ctx context.Context) (seen Seen, verdict Verdict, err error) {
	limit, cancel := context.WithTimeout(ctx, settleLimit)
	defer cancel()
	for {
		seen, verdict, err = r.compare(ctx)
		if err == nil && verdict.Settled() {
			return seen, verdict, nil
		}
		if !wait(limit, time.Second) {
			return seen, verdict, err
		}
	}
}

func (r *runner) compare(ctx context.Context) (Seen, Verdict, error) {
	cytube := r.world.CyTube()
	if err := cytube.read(ctx); err != nil {
		return Seen{}, Verdict{}, err
	}
	seen := Seen{Entries: cytube.snapshot(), Bot: r.world.Bot(), End: time.Now().UnixMilli()}
	stored, err := r.world.Stored(ctx)
	if err != nil {
		return seen, Verdict{}, err
	}
	return seen, Compare(seen, stored, r.queuer.lines()), nil
}
