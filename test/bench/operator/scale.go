package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

// scale measures in the order of its methods: each depends on the state that the previous one left.
type scale struct {
	table

	cluster *cluster
	count   int
	rest    time.Duration

	perBot int           // objects of a RoseyBot
	plain  time.Duration // until a plain client has created all objects
	heap   float64       // bytes before there were RoseyBots
}

func measureScale(ctx context.Context, options options) (table, error) {
	b := &scale{count: options.count, rest: options.rest}
	b.title = fmt.Sprintf("%d RoseyBots", b.count)
	var err error
	if b.cluster, err = startCluster(ctx); err != nil {
		return b.table, err
	}
	defer b.cluster.down(ctx)
	err = doSteps(ctx, []step{
		{"a plain client creates the objects", b.measurePlain},
		{"the operator creates them", b.measureCreation},
		{fmt.Sprintf("nothing changes for %s", b.rest), b.measureRest},
		{"a new operator starts and has nothing to change", b.measureStart},
	})
	return b.table, err
}

// measurePlain creates the objects that the operator will create, with a client that does nothing else. It removes them
// again, so that both find an idle control plane.
func (b *scale) measurePlain(ctx context.Context) error {
	sample, err := b.cluster.sample(ctx)
	if err != nil {
		return err
	}
	b.perBot = len(sample)
	if err := createNamespace(ctx, b.cluster.client, "plain"); err != nil {
		return err
	}
	start := time.Now()
	err = inParallel(b.count, func(i int) error {
		for _, text := range sample {
			object, err := copyOf(text, fmt.Sprintf("bot-%d", i))
			if err != nil {
				return err
			}
			if err := b.cluster.client.Create(ctx, object); err != nil {
				return fmt.Errorf("creating %s: %w", object.GetName(), err)
			}
		}
		return nil
	})
	b.plain = time.Since(start)
	if err != nil {
		return err
	}
	_, err = command(ctx, filepath.Join(b.cluster.bin, "kubectl"), "--kubeconfig", b.cluster.config,
		"delete", "namespace", "plain", "sample", "--timeout=10m")
	return err
}

func (b *scale) measureCreation(ctx context.Context) error {
	before, err := b.cluster.waitUntilIdle(ctx)
	if err != nil {
		return err
	}
	if err := createNamespace(ctx, b.cluster.client, "bots"); err != nil {
		return err
	}
	start := time.Now()
	err = inParallel(b.count, func(i int) error {
		bot := newBot("bots", fmt.Sprintf("bot-%d", i))
		if err := b.cluster.client.Create(ctx, bot); err != nil {
			return fmt.Errorf("creating %s: %w", bot.Name, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := until(ctx, "all objects are there", func() (bool, error) {
		found, err := countOwned(ctx, b.cluster.client, "bots")
		return found == b.count*b.perBot, err
	}); err != nil {
		return err
	}
	there := time.Since(start)
	if err := b.cluster.waitReady(ctx, "bots", b.count); err != nil {
		return err
	}
	ready := time.Since(start)
	after, err := b.cluster.waitUntilIdle(ctx)
	if err != nil {
		return err
	}
	b.heap = before.heap
	total := float64(b.count)
	b.report("objects of each", "%d", b.perBot)
	b.report("a plain client creates them all, 4 at once", "%.1f s", b.plain.Seconds())
	b.report("the operator has created them all", "%.1f s, %.2f × the plain client", there.Seconds(),
		there.Seconds()/b.plain.Seconds())
	b.report("all pods are ready according to the status", "%.1f s", ready.Seconds())
	b.report("requests of the operator for each, until it is idle", "%.1f",
		(after.requests-before.requests)/total)
	b.report("of these, writes", "%.1f", (after.writes-before.writes)/total)
	b.report("resident memory of the operator before", "%.1f MiB", before.resident/mebibyte)
	b.report("resident memory of the operator after", "%.1f MiB", after.resident/mebibyte)
	return nil
}

// measureRest counts the operator's requests while nothing changes.
func (b *scale) measureRest(ctx context.Context) error {
	before, err := b.cluster.scrape(ctx)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("waiting: %w", ctx.Err())
	case <-time.After(b.rest):
	}
	after, err := b.cluster.scrape(ctx)
	if err != nil {
		return err
	}
	b.report("requests per minute at rest, lease renewals included", "%.0f",
		(after.requests-before.requests)/b.rest.Minutes())
	b.report("reconciles per minute at rest", "%.0f", (after.reconciles-before.reconciles)/b.rest.Minutes())
	// The garbage collector runs at least every two minutes.
	b.report("heap for each, after a collection", "%.0f KiB", (after.heap-b.heap)/float64(b.count)/kibibyte)
	return nil
}

// measureStart replaces the operator's pod: the new one reconciles every RoseyBot once.
func (b *scale) measureStart(ctx context.Context) error {
	kubectl := filepath.Join(b.cluster.bin, "kubectl")
	if _, err := command(ctx, kubectl, "--kubeconfig", b.cluster.config, "--namespace", operatorNamespace,
		"delete", "pod", "--selector", operatorLabel, "--wait"); err != nil {
		return err
	}
	start := time.Now()
	var now figures
	if err := until(ctx, "all have been looked at", func() (bool, error) {
		found, err := b.cluster.scrape(ctx)
		if err != nil {
			return false, nil //nolint:nilerr // the new pod is not ready yet
		}
		now = found
		return now.reconciles >= float64(b.count), nil
	}); err != nil {
		return err
	}
	b.report("a new operator has reconciled all, after the end of the old one", "%.1f s", time.Since(start).Seconds())
	after, err := b.cluster.waitUntilIdle(ctx)
	if err != nil {
		return err
	}
	b.report("requests of the new operator", "%.0f", after.requests)
	b.report("of these, writes", "%.0f", after.writes)
	return nil
}
