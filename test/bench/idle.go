package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rosey.dev/rosey/hack/cytube/simulator"
)

// measureIdle starts a bot several times, and measures the last one and its service while they are idle.
func measureIdle(ctx context.Context, b *bench) (err error) {
	w, err := b.newWorld(true)
	if err != nil {
		return err
	}
	defer w.close()
	service, err := b.startService(ctx, w)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, service.end()) }()
	var joined []float64
	for i := range b.idleRuns {
		bot, took, err := b.join(ctx, w)
		if err != nil {
			return err
		}
		joined = append(joined, took.Seconds()*1000)
		if i == b.idleRuns-1 {
			err = b.reportMemory(ctx, bot, service)
		}
		if err := errors.Join(err, bot.end()); err != nil {
			return err
		}
	}
	b.report(fmt.Sprintf("from start to being in the user list, median of %d", b.idleRuns), median(joined), "ms", "")
	return nil
}

// join starts a bot and measures the time until it is in the user list.
func (b *bench) join(ctx context.Context, w *world) (*process, time.Duration, error) {
	var last uint64
	if log := w.channel().Log(); len(log) > 0 {
		last = log[len(log)-1].Seq
	}
	began := time.Now()
	bot, err := b.startBot(ctx, w, overNATS)
	if err != nil {
		return nil, 0, err
	}
	_, err = w.channel().WaitFor(ctx, last, func(e simulator.Entry) bool {
		return e.Kind == simulator.KindJoin && e.User == account
	})
	if err != nil {
		return nil, 0, errors.Join(fmt.Errorf("waiting for the bot: %w", err), bot.end())
	}
	return bot, time.Since(began), nil
}

func (b *bench) reportMemory(ctx context.Context, bot, service *process) error {
	if err := bot.untilReady(ctx); err != nil {
		return err
	}
	select {
	case <-time.After(b.idleFor):
	case <-ctx.Done():
		return fmt.Errorf("waiting: %w", ctx.Err())
	}
	for _, each := range []struct {
		name string
		of   *process
	}{{"bot", bot}, {"database service, SQLite", service}} {
		resident, err := each.of.memory("VmRSS")
		if err != nil {
			return err
		}
		own, err := each.of.memory("RssAnon")
		if err != nil {
			return err
		}
		b.report(each.name+": resident memory", resident, "MiB", "")
		b.report(each.name+": resident memory without the program file", own, "MiB", "")
	}
	return nil
}
