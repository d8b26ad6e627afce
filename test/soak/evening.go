// Package soak runs a whole evening of a channel, or several days, in minutes. The days are simulated: what depends on
// the clock runs by a clock of its own. The evening has the real programs: thousands of people say many lines while the
// retention removes old ones, the disk of the database is full for a while, and NATS credentials are replaced. In the
// end the database has what was said, and no process needs more than at the beginning.
package soak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/backoff"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/test/chaos"
	"rosey.dev/rosey/test/fuzz"
)

const (
	// warmUp is how long the processes run before they are measured.
	warmUp = 3 * time.Second
	// waitLimit bounds whatever has to come true.
	waitLimit = 4 * time.Minute
	// announcePace is the time between two outbound lines.
	announcePace = 2 * time.Second
	// linesPerRound is how many lines are said for each round of disturbances. There is at least one.
	linesPerRound = 10_000
	// fullFor is how long the disk stays full after the database service has noticed.
	fullFor = 2 * time.Second
	// writes is how many keys are set at a time while the disk is full.
	writes = 200
)

// Options configure an evening.
type Options struct {
	// Seed determines who says what.
	Seed uint64
	// Lines are said by that many Names.
	Lines, Names int
	// Disk is the file system of the database, which is filled. Nil: it is not.
	Disk *Disk
	// Say logs what happens.
	Say func(format string, args ...any)
}

// evening is a run in progress.
type evening struct {
	Options

	world     *chaos.Processes
	conn      *nats.Conn
	subjects  bus.Subjects
	crowd     *crowd
	announcer *chaos.Announcer

	began         time.Time
	old           oldLines
	rotations     int
	fullDisks     int
	before, after map[string]fuzz.Usage
	findings      chaos.Findings
}

// Run runs an evening with processes that have just been started, with chaos.Setup.Credentials. It returns a report,
// and an error if something that must hold does not, or if the run could not be completed.
func Run(ctx context.Context, world *chaos.Processes, o Options) (report string, err error) {
	e := &evening{Options: o, world: world, began: time.Now(), crowd: newCrowd(world.CyTube(), o)}
	e.announcer = chaos.NewAnnouncer(world, fmt.Sprintf("seed %d", o.Seed))
	e.old = newOldLines(e.began)
	var url string
	url, e.subjects = world.Bus()
	e.conn, err = nats.Connect(url, nats.Name("soak"), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true))
	if err != nil {
		return "", fmt.Errorf("connecting to NATS: %w", err)
	}
	defer e.conn.Close()
	if err := e.until(ctx, "the processes to be ready", func() error { return e.ready(ctx) }); err != nil {
		return "", err
	}
	backoff.Sleep(ctx, warmUp)
	if e.before, err = fuzz.Measure(ctx, world.List()); err != nil {
		return "", err
	}
	if err = e.play(ctx); err == nil {
		err = e.verify(ctx)
	}
	return e.report(), err
}

// play lets the crowd chat while the evening is disturbed. It returns when everything has been said.
func (e *evening) play(ctx context.Context) error {
	load, stop := context.WithCancel(ctx)
	defer stop()
	var workers sync.WaitGroup
	var queueing, chatting error
	chat := make(chan struct{})
	workers.Go(func() { queueing = e.announcer.Work(load, announcePace) })
	workers.Go(func() { e.watch(load) })
	workers.Go(func() {
		defer close(chat)
		if chatting = e.crowd.chat(load); chatting != nil {
			stop() // nobody waits for lines that are not said
		}
	})
	err := e.disturb(load)
	if err == nil {
		<-chat
	}
	stop()
	workers.Wait()
	return errors.Join(err, chatting, queueing)
}

// watch reads the server's log regularly, since the server drops old entries.
func (e *evening) watch(ctx context.Context) {
	for backoff.Sleep(ctx, time.Second) {
		_, _ = e.world.CyTube().Seen(ctx, e.world.Bot()) // after an error the next call reads the same entries
	}
}

// disturb does one thing after the other while people chat, each after the same number of lines.
func (e *evening) disturb(ctx context.Context) error {
	type step struct {
		name string
		do   func(context.Context) error
	}
	steps := []step{{"retention", e.retain}, {"rotated credentials", e.rotate}}
	if e.Disk != nil {
		steps = append(steps, step{"full disk", e.fillDisk})
	}
	number := max(1, e.Lines/linesPerRound) * len(steps)
	for i := range number {
		step := steps[i%len(steps)]
		e.crowd.wait(ctx, (i+1)*e.Lines/(number+1))
		began := time.Now()
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
		if err := e.until(ctx, "the processes to be ready", func() error { return e.ready(ctx) }); err != nil {
			return fmt.Errorf("after %s: %w", step.name, err)
		}
		e.Say("%s  %-20s until all was ready: %4.1fs, %d lines said", began.UTC().Format("15:04:05"), step.name,
			time.Since(began).Seconds(), e.crowd.said.Load())
	}
	return ctx.Err()
}

func (e *evening) rotate(ctx context.Context) error {
	e.rotations++
	return e.world.Rotate(ctx)
}

// fillDisk fills the disk of the database until the service says so, and frees it again.
func (e *evening) fillDisk(ctx context.Context) error {
	if err := e.Disk.Fill(); err != nil {
		return err
	}
	number := 0
	err := e.until(ctx, "the service to notice that the disk is full", func() error {
		if err := e.write(number); err != nil {
			return err
		}
		number += writes
		if e.world.Healthy(ctx) == nil {
			return errors.New("every process is ready")
		}
		return nil
	})
	backoff.Sleep(ctx, fullFor)
	e.fullDisks++
	return errors.Join(err, e.Disk.Free())
}

// write sets keys whose values do not fit into the space that the database has reserved: SQLite writes about 4 MiB to a
// log before it needs more. Nobody reads the replies.
func (e *evening) write(first int) error {
	for i := range writes {
		data, err := json.Marshal(map[string]string{
			"plugin_name": "soak", "key": fmt.Sprint("key ", (first+i)%1000), "value": strings.Repeat("x", 8<<10),
		})
		if err == nil {
			err = e.conn.PublishRequest(e.subjects.Subject(bus.KVSet), nats.NewInbox(), data)
		}
		if err != nil {
			return fmt.Errorf("setting a key: %w", err)
		}
	}
	return nil
}

// ready returns nil if every process has stayed up and is ready, and the bot is in the channel.
func (e *evening) ready(ctx context.Context) error {
	for _, process := range e.world.List() {
		if process.Starts > 1 {
			return fmt.Errorf("%s has exited: see its log: %w", process.Name, errExited)
		}
	}
	if err := e.world.Healthy(ctx); err != nil {
		return err
	}
	seen, err := e.world.CyTube().Seen(ctx, e.world.Bot())
	if err == nil && !seen.Present() {
		err = fmt.Errorf("%s is not in the channel", seen.Bot)
	}
	return err
}

var errExited = errors.New("a process must not end")

// verify compares what was said with what is stored, and what the processes need with what they needed.
func (e *evening) verify(ctx context.Context) error {
	duration := time.Since(e.began)
	err := e.until(ctx, "the database to have what was said", func() error { return e.compare(ctx) })
	return errors.Join(err, e.until(ctx, "memory and goroutines to be as before", func() error {
		if err := e.ready(ctx); err != nil {
			return err
		}
		var err error
		if e.after, err = fuzz.Measure(ctx, e.world.List()); err != nil {
			return err
		}
		var failures []error
		for name, after := range e.after {
			failures = append(failures, after.Returned(name, e.before[name], duration))
		}
		return errors.Join(failures...)
	}))
}

func (e *evening) compare(ctx context.Context) error {
	if err := e.maintain(ctx); err != nil { // old lines that came late
		return err
	}
	seen, err := e.world.CyTube().Seen(ctx, e.world.Bot())
	if err != nil {
		return err
	}
	stored, err := e.world.Stored(ctx)
	if err != nil {
		return err
	}
	stored.Uncount(e.old.users())
	e.findings = chaos.Compare(seen, stored, e.announcer.Lines())
	if !e.findings.Complete() || e.findings.Unseen > 0 {
		return fmt.Errorf("the database differs from the channel: %.3000s", fmt.Sprintf("%+v", e.findings))
	}
	return nil
}

// until waits until condition returns nil.
func (e *evening) until(ctx context.Context, what string, condition func() error) error {
	ctx, cancel := context.WithTimeout(ctx, waitLimit)
	defer cancel()
	for {
		err := condition()
		if err == nil {
			return nil
		}
		if errors.Is(err, errExited) || !backoff.Sleep(ctx, 500*time.Millisecond) {
			return fmt.Errorf("waiting for %s: %w", what, err)
		}
	}
}

// report describes an evening.
func (e *evening) report() string {
	out := &strings.Builder{}
	fmt.Fprintf(out, "seed %d: %d lines of %d people said, %d stored, %d outbound lines, in %s\n", e.Seed, e.findings.Said,
		e.Names, e.findings.Stored, len(e.announcer.Lines()), time.Since(e.began).Round(time.Second))
	fmt.Fprintf(out, "%d old lines were removed; the disk was full %d times; credentials were replaced %d times\n",
		e.old.published, e.fullDisks, e.rotations)
	for _, name := range slices.Sorted(maps.Keys(e.after)) {
		before, after := e.before[name], e.after[name]
		fmt.Fprintf(out, "%-5s heap %d MiB before, %d MiB after; memory of its own %d MiB before, %d MiB after; "+
			"%d goroutines before, %d after\n", name, before.Heap>>20, after.Heap>>20, before.Own>>20, after.Own>>20,
			before.Goroutines, after.Goroutines)
	}
	return out.String()
}
