package main

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// mergeRig is a merger with sources that a test writes to.
type mergeRig struct {
	arrivals chan arrival
	next     []chan struct{}
	written  []string
	ended    chan error
}

func newMergeRig(ctx context.Context, follow bool, sources int) *mergeRig {
	r := &mergeRig{arrivals: make(chan arrival), ended: make(chan error, 1)}
	merge := newMerger(follow, func(line logLine) error {
		r.written = append(r.written, line.text)
		return nil
	})
	go func() { r.ended <- merge.run(ctx, r.arrivals) }()
	for source := range sources {
		r.next = append(r.next, make(chan struct{}, 1))
		r.arrivals <- arrival{line: logLine{source: source}, begin: r.next[source]}
	}
	return r
}

// write sends a line that was written at a second, and waits until the merger asks for the next.
func (r *mergeRig) write(source, second int, text string) {
	r.arrivals <- arrival{line: logLine{source: source, at: time.Unix(int64(second), 0), text: text}}
	<-r.next[source]
}

func (r *mergeRig) end(source int) { r.arrivals <- arrival{line: logLine{source: source}, ended: true} }

func TestLogsAreMergedByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newMergeRig(t.Context(), false, 2)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			r.write(1, 2, "b2")
			r.write(1, 4, "b4")
			r.write(1, 5, "b5")
			r.end(1)
		}()
		time.Sleep(time.Hour) // however long the other one takes
		r.write(0, 1, "a1")
		r.write(0, 3, "a3")
		r.write(0, 5, "a5")
		r.end(0)
		<-ended
		close(r.arrivals)
		if err := <-r.ended; err != nil {
			t.Error(err)
		}
		if got, want := strings.Join(r.written, " "), "a1 b2 a3 b4 a5 b5"; got != want {
			t.Errorf("merged: %s, want %s", got, want)
		}
	})
}

// A container that writes nothing must not hold back the lines of the others, and what it writes later is in order
// again.
func TestFollowedLogsDoNotWaitForASilentContainer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		r := newMergeRig(ctx, true, 2)
		began := time.Now()
		for i := range 100 {
			r.write(0, i, "a")
		}
		if took := time.Since(began); took != quietAfter {
			t.Errorf("100 lines took %v, want %v once", took, quietAfter)
		}
		r.write(1, 200, "b")
		synctest.Wait()
		if got := strings.Join(r.written, ""); got != strings.Repeat("a", 100)+"b" {
			t.Errorf("written: %s", got)
		}
		stop()
		if err := <-r.ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the merge has ended with %v", err)
		}
	})
}

func TestLogLinesHaveATime(t *testing.T) {
	last := time.Unix(100, 0)
	for text, want := range map[string]logLine{
		"1970-01-01T00:02:00.5Z a line": {at: time.Unix(120, 5e8), text: "a line"},
		"1970-01-01T00:00:01Z earlier":  {at: last, text: "earlier"},
		"no time":                       {at: last, text: "no time"},
		"1970-01-01T00:02:00Z":          {at: time.Unix(120, 0)},
	} {
		if got := parseLogLine(text, last); !got.at.Equal(want.at) || got.text != want.text {
			t.Errorf("%q is %v %q, want %v %q", text, got.at, got.text, want.at, want.text)
		}
	}
}
