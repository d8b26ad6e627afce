package main

import (
	"context"
	"io"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/telemetry/otlptest"
)

// TestTracesOffAllocateNothing has a bot, a stream and a service handle lines with a profile of every allocation: while
// tracing is off, none is made for traces on the whole path of a line. That it finds those that are made is seen with
// tracing on. It is not parallel, since the profile is that of the test's own process.
func TestTracesOffAllocateNothing(t *testing.T) {
	const lines = 100
	if found := allocatedForTraces(t, lines); len(found) > 0 {
		t.Errorf("with tracing off, %d lines allocate for traces:\n%s", lines, strings.Join(found, "\n"))
	}
	for _, variable := range tracing(otlptest.HTTP(t).URL, config.OTLPHTTP) {
		name, value, _ := strings.Cut(variable, "=")
		t.Setenv(name, value)
	}
	if found := allocatedForTraces(t, lines); len(found) < 10 {
		t.Errorf("with tracing on, only %d places allocate for traces: %q", len(found), found)
	}
}

// allocatedForTraces runs a bot and a service in this process and returns the places that allocate for traces while
// lines are said and stored.
func allocatedForTraces(t *testing.T, lines int) []string {
	t.Helper()
	r := newKillRig(t)
	ctx, stop := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	defer ended.Wait()
	defer stop()
	shared := []string{"--channel", "movienight", "--server", r.site, "--nats", r.nats.URL(), "--http", "127.0.0.1:0"}
	ended.Go(func() { run(ctx, append([]string{"db", r.store[0], r.store[1]}, shared...), io.Discard, io.Discard) })
	ended.Go(func() {
		run(ctx, append([]string{"bot", "--username", "Rosey", "--password-file", filepath.Join(r.dir, "password")},
			shared...), io.Discard, io.Discard)
	})
	awaitStored := func() { r.awaitStreamed(); r.awaitStored() }
	r.say(1) // CyTube repeats it when the bot joins
	awaitStored()
	rate := runtime.MemProfileRate
	defer func() { runtime.MemProfileRate = rate }()
	runtime.MemProfileRate = 1
	before := allocations()
	r.say(lines)
	awaitStored()
	var found []string
	for place, count := range allocations() {
		if count > before[place] && forTraces(place) {
			found = append(found, place.Function+" at "+place.File)
		}
	}
	slices.Sort(found)
	return found
}

// place is where an allocation is made: the innermost function that does so for itself.
type place struct{ Function, File string }

// allocations returns how many there were in each place. Those before the profile's rate was set to 1 are estimated.
func allocations() map[place]int64 {
	for range 2 { // the profile is that of the last completed collection
		runtime.GC()
	}
	var records []runtime.MemProfileRecord
	count, complete := runtime.MemProfile(nil, true)
	for !complete {
		records = make([]runtime.MemProfileRecord, count+1000) // more may come meanwhile
		count, complete = runtime.MemProfile(records, true)
	}
	all := map[place]int64{}
	for _, record := range records[:count] {
		for frames := runtime.CallersFrames(record.Stack()); ; {
			frame, more := frames.Next()
			name := frame.Function[strings.LastIndex(frame.Function, "/")+1:]
			forItself, _, _ := strings.Cut(name, ".")
			if !more || !slices.Contains([]string{"runtime", "context", "slices", "maps", "fmt", "strconv"}, forItself) {
				all[place{frame.Function, frame.File}] += record.AllocObjects
				break
			}
		}
	}
	return all
}

// forTraces reports whether a place is in a package or a file about traces.
func forTraces(p place) bool {
	name := filepath.Base(p.File)
	return name == "traces.go" || name == "traced.go" || strings.HasPrefix(p.Function, "go.opentelemetry.io/otel") ||
		strings.HasPrefix(p.Function, "rosey.dev/rosey/runtime/telemetry.")
}
