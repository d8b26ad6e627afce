package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// measureChat measures the CPU time of the bot, and of the bot and its service, from the first of many lines until all
// are stored.
func measureChat(ctx context.Context, b *bench) error {
	for _, rate := range b.chatRates {
		for _, mode := range []string{direct, overNATS, overStream} {
			bot, both, err := b.chat(ctx, mode, rate)
			if err != nil {
				return fmt.Errorf("mode %s, %d lines a second: %w", mode, rate, err)
			}
			name := func(mode, what string) string {
				return fmt.Sprintf("%s, %s, %d lines/s", mode, what, rate)
			}
			against := ""
			if mode != direct {
				against = name(direct, "bot")
			}
			b.report(name(mode, "bot"), bot.Seconds(), fmt.Sprintf("s for %d lines", b.chatLines), against)
			if mode != direct {
				b.report(name(mode, "bot and service"), both.Seconds(), fmt.Sprintf("s for %d lines", b.chatLines), against)
			}
		}
	}
	return nil
}

// chat measures one mode: the bot's time, and that of bot and service together.
func (b *bench) chat(ctx context.Context, mode string, rate int) (bot, both time.Duration, err error) {
	w, err := b.newWorld(mode == overStream)
	if err != nil {
		return 0, 0, err
	}
	defer w.close()
	var processes []*process
	defer func() {
		for _, each := range slices.Backward(processes) { // the bot publishes its last events to the service
			err = errors.Join(err, each.end())
		}
	}()
	if mode != direct {
		service, err := b.startService(ctx, w)
		if err != nil {
			return 0, 0, err
		}
		processes = append(processes, service)
	}
	sitting, err := b.startBot(ctx, w, mode)
	if err != nil {
		return 0, 0, err
	}
	processes = append(processes, sitting)
	if err := sitting.untilReady(ctx); err != nil {
		return 0, 0, err
	}
	return measured(processes, func() error { return sayLines(ctx, w, sitting, rate, b.chatLines) })
}

// measured returns the CPU time that the last of the processes, and all of them, use during do.
func measured(processes []*process, do func() error) (last, all time.Duration, err error) {
	before, err := used(processes)
	if err != nil {
		return 0, 0, err
	}
	if err := do(); err != nil {
		return 0, 0, err
	}
	after, err := used(processes)
	if err != nil {
		return 0, 0, err
	}
	for i := range processes {
		last = after[i] - before[i]
		all += last
	}
	return last, all, nil
}

func used(processes []*process) (times []time.Duration, err error) {
	for _, p := range processes {
		time, err := p.cpu()
		if err != nil {
			return nil, err
		}
		times = append(times, time)
	}
	return times, nil
}

// sayLines says the lines at a rate, and waits until the bot has published or stored all of them.
func sayLines(ctx context.Context, w *world, bot *process, rate, count int) error {
	if err := w.channel().Join("alice"); err != nil {
		return fmt.Errorf("joining: %w", err)
	}
	const tick = 10 * time.Millisecond
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	began := time.Now()
	for said := 0; said < count; {
		due := min(count, int(time.Since(began).Seconds()*float64(rate)))
		for ; said < due; said++ {
			if _, err := w.channel().Say("alice", fmt.Sprintf("line %d: has anybody seen this one before?", said)); err != nil {
				return fmt.Errorf("saying a line: %w", err)
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("saying lines: %w", ctx.Err())
		}
	}
	return until(ctx, "the bot to publish all lines", func() (bool, error) {
		published, err := bot.metric(ctx, `rosey_bus_published_total{subject="db.message.log"}`)
		if err != nil {
			return false, err
		}
		stored, err := bot.metric(ctx, `rosey_bus_stored_directly_total{subject="db.message.log"}`)
		return int(published+stored) >= count, err
	})
}
