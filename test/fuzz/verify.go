package fuzz

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rosey.dev/rosey/test/chaos"
)

// verify checks what must hold after the last operation.
func (r *run) verify(ctx context.Context) error {
	var failures []error
	for _, failed := range r.honest.failures {
		failures = append(failures, errors.New("an honest request got no valid reply: "+failed))
	}
	for _, each := range []struct {
		what      string
		condition func() error
	}{
		{"the stream's events to be stored", func() error { return r.hostile.caughtUp(ctx) }},
		{"the processes to be ready", func() error { return cmp.Or(r.alive(), r.ready(ctx)) }},
		{"memory and goroutines to return to what they were", func() error { return cmp.Or(r.alive(), r.returned(ctx)) }},
	} {
		failures = append(failures, r.until(ctx, each.what, each.condition))
	}
	failures = append(failures, r.stored(ctx), r.disk(), r.alive())
	return errors.Join(failures...)
}

// returned returns an error if a process uses more than it should when idle.
func (r *run) returned(ctx context.Context) error {
	var err error
	if r.after, err = Measure(ctx, r.world.List()); err != nil {
		return err
	}
	for name, after := range r.after {
		// Go keeps memory that it has freed for a while.
		if limit := r.Limits[name] / 2; after.Own > limit {
			return fmt.Errorf("%s uses %d MiB, expected at most half of its limit, %d MiB", name, after.Own>>20, limit>>20)
		}
		if err := after.Returned(name, r.before[name], r.Duration); err != nil {
			return err
		}
	}
	return nil
}

// stored waits until everything that was said in the channel is stored, and checks that nothing is stored twice. What
// else is in the database is the hostile client's.
func (r *run) stored(ctx context.Context) error {
	seen, err := r.world.CyTube().Seen(ctx, r.world.Bot())
	if err != nil {
		return err
	}
	return r.until(ctx, "what was said to be stored once", func() error {
		stored, err := r.world.Stored(ctx)
		if err = cmp.Or(r.alive(), err); err != nil {
			return err //nolint:wrapcheck // both are ours
		}
		said, found := seen.Lines(), chaos.CompareLines(seen, stored)
		twice := slices.DeleteFunc(found.Duplicated, func(line chaos.Line) bool { return !slices.Contains(said, line) })
		if len(found.Lost)+len(twice) > 0 {
			return fmt.Errorf("%d lines were said: lost %.10v, stored twice %.10v", found.Said, found.Lost, twice)
		}
		return nil
	})
}

func (r *run) disk() error {
	rows, stream, err := r.world.Disk()
	if err == nil && rows > diskLimit {
		err = fmt.Errorf("the rows take %d MiB, more than the default claim", rows>>20)
	}
	r.rows, r.stream = rows, stream
	return err
}

// report describes a run.
func (r *run) report() string {
	out := &strings.Builder{}
	limits := "enforced by cgroups"
	if r.Groups == nil {
		limits = "measured only, because this machine does not let this process create memory cgroups"
	}
	fmt.Fprintf(out, "seed %d, %s: %d messages in %d operations; memory limits are %s\n", r.Seed, r.Duration,
		r.hostile.sent, r.operations, limits)
	fmt.Fprintf(out, "%d honest requests were answered, the slowest within %s\n", r.honest.answered, r.honest.slowest)
	for _, name := range slices.Sorted(maps.Keys(r.before)) {
		before, after := r.before[name], r.after[name]
		fmt.Fprintf(out, "%-5s memory of its own %3d MiB before, %3d MiB after; at most %3d MiB of %3d MiB with files; "+
			"heap %d MiB before, %d MiB after; %d goroutines before, %d after\n", name, before.Own>>20, after.Own>>20,
			after.Peak>>20, r.Limits[name]>>20, before.Heap>>20, after.Heap>>20, before.Goroutines, after.Goroutines)
	}
	fmt.Fprintf(out, "rows take %d MiB, the stream %d MiB\n", r.rows>>20, r.stream>>20)
	fmt.Fprintf(out, "the last operations: %s\n", strings.Join(r.last, "; "))
	return out.String()
}
