package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"rosey.dev/rosey/hack/cytube/simulator"
)

const (
	// eveningPace is the mean time between two things that the people of the script do: of ten, eight are lines.
	eveningPace = 800 * time.Millisecond
	eveningSeed = 1
)

// measureEvening measures the CPU time and the memory of a bot and its service in a channel with a line a second, where
// people come and go and a film plays, beside a process that inserts a row for a bare line a second.
func measureEvening(ctx context.Context, b *bench) error {
	for _, durable := range []bool{false, true} {
		if err := b.watchEvening(ctx, durable); err != nil {
			return fmt.Errorf("%s: %w", transport(durable), err)
		}
	}
	return nil
}

// watchEvening measures one transport.
func (b *bench) watchEvening(ctx context.Context, durable bool) (err error) {
	w, err := b.newWorld(durable)
	if err != nil {
		return err
	}
	defer w.close()
	// The service makes its own database: an earlier program would refuse a schema that it does not know.
	absent := maker{"SQLite", func(context.Context) (*target, error) {
		return &target{arguments: []string{"--" + sqliteFlag, b.newDatabase()}}, nil
	}}
	on, err := b.startScene(ctx, w, absent, maker{"SQLite", b.newSQLite}, durable)
	defer func() { err = errors.Join(err, on.end()) }()
	if err != nil {
		return err
	}
	if err := w.channel().StartScript(simulator.ScriptOptions{Seed: eveningSeed, Pace: eveningPace}); err != nil {
		return fmt.Errorf("starting the script: %w", err)
	}
	if err := on.publishFor(ctx, b.evening/10); err != nil { // until connections and files are as they stay
		return err
	}
	watched := []watched{
		{"bare subscriber and insert", on.barePublisher.process.Process.Pid},
		{"bot", on.bot.command.Process.Pid}, {"service", on.service.command.Process.Pid},
	}
	spent, err := spentDuring(watched, func() error { return on.publishFor(ctx, b.evening) })
	if err != nil {
		return err
	}
	return b.reportEvening(transport(durable), watched, spent)
}

// watched is a process whose CPU time and memory are measured.
type watched struct {
	name string
	pid  int
}

// spentDuring returns the CPU time that each process uses during do.
func spentDuring(all []watched, do func() error) (spent []time.Duration, err error) {
	for _, one := range all {
		before, err := cpuOf(one.pid)
		if err != nil {
			return nil, err
		}
		spent = append(spent, -before)
	}
	if err := do(); err != nil {
		return nil, err
	}
	for i, one := range all {
		after, err := cpuOf(one.pid)
		if err != nil {
			return nil, err
		}
		spent[i] += after
	}
	return spent, nil
}

// publishFor publishes a bare line every second.
func (s *scene) publishFor(ctx context.Context, lasts time.Duration) error {
	ticker := time.NewTicker(min(time.Second, lasts))
	defer ticker.Stop()
	for end := time.Now().Add(lasts); time.Now().Before(end); {
		if _, err := s.barePublisher.publish("has anybody seen this one before?"); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting: %w", ctx.Err())
		}
	}
	return nil
}

// reportEvening reports the CPU time of a minute, and the memory at its end.
func (b *bench) reportEvening(mode string, all []watched, spent []time.Duration) error {
	bare := ""
	for i, one := range all {
		name := fmt.Sprintf("%s, %s: processor time", mode, one.name)
		b.report(name, spent[i].Seconds()*1e3*float64(time.Minute)/float64(b.evening), "ms per minute", bare)
		if i == 0 {
			bare = name
		}
	}
	for _, one := range all {
		own, err := memoryOf(one.pid, "RssAnon")
		if err != nil {
			return err
		}
		b.report(fmt.Sprintf("%s, %s: resident memory without the program file", mode, one.name), own, "MiB", "")
	}
	return nil
}
