package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// crowd is the namespace of all RoseyBots of a part: the largest that a list of a namespace can be.
const crowd = "crowd"

// growth measures what a RoseyBot costs the operator while their number grows, and what the operator does when nothing
// has to be done. It measures in the order of its methods.
type growth struct {
	*fleet
	table

	namespace string
	sizes     []int // numbers of RoseyBots
	newcomers int   // that are created one after another at each size
	rest      time.Duration
	quiet     time.Duration // after which the operator counts as idle
	profiles  string        // directory

	empty  float64 // the heap in bytes without RoseyBots
	stages []stage
	moved  int // pods that a restart of the operator replaced or restarted
}

// stage is what was measured while the number of RoseyBots grew to a size. What is not said otherwise is for each
// RoseyBot that was created.
type stage struct {
	size                         int
	requests, events, reconciles float64
	kinds                        map[string]int // of requests, by what they do, in total
	took, reconcile, processor   time.Duration  // until it was ready; of one reconcile
	heap                         float64        // bytes for each RoseyBot that exists
	newcomers                    newcomers
}

func measureGrowth(ctx context.Context, options options) (_ table, err error) {
	g := &growth{
		namespace: crowd,
		sizes:     []int{max(options.count/10, 1), max(options.count*3/10, 2), max(options.count, 3)},
		newcomers: max(1, min(20, options.count/50)),
		rest:      options.rest, quiet: 3 * time.Second, profiles: options.profiles,
	}
	g.title = fmt.Sprintf("from %d to %d RoseyBots", g.sizes[0], g.sizes[len(g.sizes)-1])
	defer func() { err = errors.Join(err, g.close()) }()
	steps := []step{{"API server, controllers and operator start", g.start}}
	for _, size := range g.sizes {
		steps = append(steps, step{fmt.Sprintf("there are %d RoseyBots", size), func(ctx context.Context) error {
			return g.grow(ctx, size)
		}})
	}
	return g.table, doSteps(ctx, append(steps,
		step{"the figures of all sizes", g.reportStages},
		step{fmt.Sprintf("nothing changes for %s", g.rest), g.measureRest},
		step{"every RoseyBot is reconciled, and nothing has to be written", g.measureResync},
		step{"the operator is restarted while RoseyBots are created", g.measureRestart}))
}

func (g *growth) start(ctx context.Context) (err error) {
	var ip string
	g.fleet, err = startFleet(ctx, g.profiles != "", time.Hour, func(*corev1.Pod) behaviour { return healthy(ip) })
	if err != nil {
		return err
	}
	if ip, err = g.startProcess(ctx, joined); err != nil {
		return err
	}
	if err := g.createSample(ctx); err != nil {
		return err
	}
	return g.measureEmpty(ctx)
}

// measureEmpty creates the namespace, and measures the heap.
func (g *growth) measureEmpty(ctx context.Context) (err error) {
	if err := createNamespace(ctx, g.admin, g.namespace); err != nil {
		return err
	}
	if err := g.waitUntilIdle(ctx, g.quiet); err != nil {
		return err
	}
	g.empty, err = g.liveHeap(ctx)
	return err
}

func (g *growth) close() error {
	if g.fleet == nil {
		return nil
	}
	return g.fleet.close()
}

// grow creates RoseyBots until there are size, and a few more one after another.
func (g *growth) grow(ctx context.Context, size int) error {
	existing := 0
	if len(g.stages) > 0 {
		existing = g.stages[len(g.stages)-1].size + g.newcomers
	}
	before, err := g.scrape(ctx)
	if err != nil {
		return err
	}
	mark, began := g.requests.mark(), time.Now()
	now := stage{size: size, kinds: map[string]int{}}
	added := size - existing
	err = g.profile(ctx, g.profiles, fmt.Sprintf("growth-%d", size), func() error {
		if err := createBots(ctx, g.admin, existing, size, botsOf(g.namespace, "bot")); err != nil {
			return err
		}
		if err := g.seen.waitBots(ctx, g.namespace, size); err != nil {
			return err
		}
		now.took = time.Since(began) / time.Duration(added)
		return g.waitUntilIdle(ctx, g.quiet)
	})
	if err != nil {
		return err
	}
	after, err := g.scrape(ctx)
	if err != nil {
		return err
	}
	for _, each := range g.requests.since(mark) {
		now.kinds[each.String()]++
		if each.isEvent() {
			now.events += 1 / float64(added)
			continue
		}
		now.requests += 1 / float64(added)
	}
	reconciles := after.reconciles - before.reconciles
	now.reconciles = reconciles / float64(added)
	now.reconcile = seconds((after.reconciling - before.reconciling) / reconciles)
	now.processor = seconds((after.processor - before.processor) / float64(added))
	heap, err := g.liveHeap(ctx)
	if err != nil {
		return err
	}
	now.heap = (heap - g.empty) / float64(size)
	now.newcomers, err = g.measureNewcomers(ctx, g.namespace, fmt.Sprintf("newcomer-%d", size), g.newcomers)
	g.stages = append(g.stages, now)
	return err
}

func seconds(value float64) time.Duration { return time.Duration(value * float64(time.Second)) }

// reportStages reports the figures of all sizes, and how much the last is of the first.
func (g *growth) reportStages(context.Context) error {
	last := g.stages[len(g.stages)-1]
	row := func(figure, format string, value func(stage) float64) {
		var values []string
		for _, each := range g.stages {
			values = append(values, fmt.Sprintf(format, value(each)))
		}
		g.report(figure, "%s: %.2f ×", strings.Join(values, ", "), value(last)/value(g.stages[0]))
	}
	rowOfTimes := func(figure, format string, value func(stage) time.Duration) {
		row(figure, format+" ms", func(s stage) float64 { return value(s).Seconds() * 1000 })
	}
	row("RoseyBots", "%.0f", func(s stage) float64 { return float64(s.size) })
	g.report("objects of each", "%d", g.perBot)
	row("requests for each, without Events", "%.2f", func(s stage) float64 { return s.requests })
	row("Events of each", "%.2f", func(s stage) float64 { return s.events })
	row("reconciles of each", "%.2f", func(s stage) float64 { return s.reconciles })
	rowOfTimes("time for each until all are ready, 4 at once", "%.0f", func(s stage) time.Duration { return s.took })
	rowOfTimes("mean time of a reconcile", "%.2f", func(s stage) time.Duration { return s.reconcile })
	rowOfTimes("processor time of the operator for each", "%.1f", func(s stage) time.Duration { return s.processor })
	row("heap of the operator for each, after two collections", "%.1f KiB",
		func(s stage) float64 { return s.heap / kibibyte })
	rowOfTimes("one more RoseyBot has its objects: median", "%.0f",
		func(s stage) time.Duration { return median(s.newcomers.objects) })
	rowOfTimes("from its pods being ready until it is: median", "%.0f",
		func(s stage) time.Duration { return median(s.newcomers.ready) })
	g.report(fmt.Sprintf("among %d: one more RoseyBot has its objects, median of %d", last.size, g.newcomers), "%s",
		medianAndLongest(last.newcomers.objects))
	g.report(fmt.Sprintf("among %d: from its pods being ready until it is", last.size), "%s",
		medianAndLongest(last.newcomers.ready))
	added := last.size - g.stages[len(g.stages)-2].size - g.newcomers
	for _, kind := range slices.Sorted(maps.Keys(last.kinds)) {
		g.report("requests for each: "+kind, "%.2f", float64(last.kinds[kind])/float64(added))
	}
	return nil
}

// measureRest counts the operator's requests while nothing changes.
func (g *growth) measureRest(ctx context.Context) error {
	mark := g.requests.mark()
	before, err := g.scrape(ctx)
	if err != nil {
		return err
	}
	if err := pause(ctx, g.rest); err != nil {
		return err
	}
	after, err := g.scrape(ctx)
	if err != nil {
		return err
	}
	g.report("requests per minute at rest, lease renewals included", "%.0f",
		float64(g.requests.mark()-mark)/g.rest.Minutes())
	g.report("requests at rest other than lease renewals", "%s", describe(g.requests.since(mark)))
	g.report("reconciles per minute at rest", "%.0f", (after.reconciles-before.reconciles)/g.rest.Minutes())
	g.report("processor time of the operator per minute at rest", "%.2f s",
		(after.processor-before.processor)/g.rest.Minutes())
	return nil
}

func pause(ctx context.Context, length time.Duration) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("waiting: %w", ctx.Err())
	case <-time.After(length):
		return nil
	}
}

// measureResync changes every Deployment in a way that is none of the operator's business, so that each RoseyBot is
// reconciled, and counts requests.
func (g *growth) measureResync(ctx context.Context) error {
	deployments := &appsv1.DeploymentList{}
	if err := g.admin.List(ctx, deployments, client.InNamespace(g.namespace)); err != nil {
		return fmt.Errorf("listing Deployments: %w", err)
	}
	before, err := g.scrape(ctx)
	if err != nil {
		return err
	}
	mark := g.requests.mark()
	touch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"bench.example/touched":"yes"}}}`))
	if err := inParallel(len(deployments.Items), func(i int) error {
		if err := g.admin.Patch(ctx, &deployments.Items[i], touch); err != nil {
			return fmt.Errorf("changing a Deployment: %w", err)
		}
		return nil
	}); err != nil {
		return err
	}
	if err := g.waitUntilIdle(ctx, g.quiet); err != nil {
		return err
	}
	after, err := g.scrape(ctx)
	if err != nil {
		return err
	}
	g.report(fmt.Sprintf("%d Deployments change as others may change them: reconciles", len(deployments.Items)), "%.0f",
		after.reconciles-before.reconciles)
	g.report("requests of the operator for them", "%s", describe(g.requests.since(mark)))
	return nil
}

// measureRestart restarts the operator while RoseyBots are created, and reports what became of pods.
func (g *growth) measureRestart(ctx context.Context) error {
	before, deleted := g.seen.podsOf(g.namespace), g.seen.deletions()
	size, added := len(before)/podsOfBot, max(g.sizes[0], 2)
	began := make(chan error, 1)
	mark := g.requests.mark()
	go func() { began <- createBots(ctx, g.admin, size, size+added, botsOf(g.namespace, "late")) }()
	err := untilEvery(ctx, pollPause, "some of the objects are there", func() (bool, error) {
		return g.requests.countCreations(mark) >= added*g.perBot/2, nil
	})
	if err == nil {
		err = g.restart(ctx)
	}
	if err = errors.Join(err, <-began); err != nil {
		return err
	}
	if err := g.seen.waitBots(ctx, g.namespace, size+added); err != nil {
		return err
	}
	if err := g.waitUntilIdle(ctx, g.quiet); err != nil {
		return err
	}
	after := g.seen.podsOf(g.namespace)
	added *= podsOfBot
	g.moved = countMoved(before, after) - added + g.seen.deletions() - deleted
	g.report(fmt.Sprintf("pods that a restart of the operator replaces while %d are created", added), "%d of %d",
		g.moved, len(after))
	return nil
}

func (l *loopback) restart(ctx context.Context) error {
	if err := l.stopOperator(); err != nil {
		return err
	}
	return l.startOperator(ctx)
}
