package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/test/apiservertest"
)

// attempts is what the limits of the operator allow for a RoseyBot whose objects cannot be written.
var attempts = limit{100, 2 * time.Second}

// The short form of three parts of the benchmark. The RoseyBots that are ill come last: the operator is never idle
// beside them.
func TestManyRoseyBotsCauseABoundedNumberOfRequests(t *testing.T) {
	if reason := apiservertest.Missing(); reason != "" {
		t.Skip(reason)
	}
	checkPort(t)
	t.Parallel()
	m := &ill{count: len(illnesses), newcomers: 1, rest: 200 * time.Millisecond, flapPause: 100 * time.Millisecond}
	defer func() {
		if err := m.close(); err != nil {
			t.Error(err)
		}
	}()
	do(t.Context(), t, m.start)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	b := &scale{
		system: system{m.admin, m.seen, m.scrape, m.restart}, count: 2, namespace: "scale", sampleIn: "another-sample",
		rest: 200 * time.Millisecond, quiet: 200 * time.Millisecond,
	}
	for _, step := range b.steps() {
		do(ctx, t, step.do)
	}

	g := &growth{fleet: m.fleet, namespace: "growth", sizes: []int{2, 5}, newcomers: 1, rest: 200 * time.Millisecond,
		quiet: 200 * time.Millisecond}
	do(ctx, t, g.measureEmpty)
	for _, size := range g.sizes {
		do(ctx, t, func(ctx context.Context) error { return g.grow(ctx, size) })
	}
	do(ctx, t, g.reportStages, g.measureRest, g.measureRestart)
	for _, each := range g.stages {
		// Objects, and statuses on the way to being ready.
		if most := float64(3 * g.perBot); each.requests > most || each.requests < float64(g.perBot) {
			t.Errorf("%.1f requests for each of %d RoseyBots with %d objects, want %d to %.0f", each.requests, each.size,
				g.perBot, g.perBot, most)
		}
	}
	if b.moved+g.moved != 0 {
		t.Errorf("restarts of the operator replaced or restarted %d and %d pods", b.moved, g.moved)
	}

	began := time.Now()
	do(ctx, t, m.measureCreation, m.measureRest("at rest"), m.measureHealthy)
	length := time.Since(began)
	count := func(wanted func(call) bool) int {
		return m.requests.count(func(c call) bool {
			return (c.isIn(crowd) || c.isIn(quotaNamespace)) && !strings.Contains(c.path, "healthy") && wanted(c)
		})
	}
	for name, bound := range map[string]struct{ got, most int }{
		"statuses": {count(call.isStatus), m.count * (statusWrites.within(length) + 1)},
		"Events":   {count(call.isEvent), (m.count + m.newcomers) * events.within(length)},
		"refused objects": {
			count(func(c call) bool { return !c.isStatus() && c.status >= 400 }), 2 * m.count * attempts.within(length),
		},
	} {
		if bound.got > bound.most {
			t.Errorf("%d %s in %s, want at most %d", bound.got, name, length, bound.most)
		}
	}
}
