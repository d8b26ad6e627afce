package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

// way is a way to store lines.
type way struct {
	name  string
	lines int
	// services is the number of services. 0: the lines are inserted directly.
	services int
	durable  bool
	// do stores the lines. It may return before they are stored.
	do func(ctx context.Context, r *trial) error
}

// trial is one measurement of a way.
type trial struct {
	target   *target
	lines    []line
	services []*process
	conn     *nats.Conn
	messages []*nats.Msg
	began    time.Time
}

func (b *bench) ways() []way {
	return []way{
		{name: "raw insert", lines: b.rowLines, do: func(ctx context.Context, r *trial) error {
			return r.target.raw(ctx, r.lines)
		}},
		{name: "NATS", lines: b.rowLines, services: 1, do: func(ctx context.Context, r *trial) error {
			return publishCore(ctx, r.conn, r.messages, 2000, 3)
		}},
		{name: "JetStream", lines: b.rowLines, services: 1, durable: true, do: func(ctx context.Context, r *trial) error {
			return publishStream(ctx, r.conn, r.messages)
		}},
		{name: "JetStream, backlog", lines: b.rowLines, services: 1, durable: true, do: backlog},
		{name: "NATS, a transaction for each", lines: b.singleLines, services: 1, do: oneByOne},
	}
}

// oneByOne publishes a line when the one before is stored: the service would batch lines that wait together.
func oneByOne(ctx context.Context, r *trial) error { return publishCore(ctx, r.conn, r.messages, 1, 1) }

// backlog fills the stream before the service runs, and measures from then on.
func backlog(ctx context.Context, r *trial) error {
	err := stopped(r.services, func() error { return publishStream(ctx, r.conn, r.messages) })
	r.began = time.Now()
	return err
}

// stopped runs do while the processes are stopped with SIGSTOP.
func stopped(processes []*process, do func() error) (err error) {
	for _, p := range processes {
		if err := p.command.Process.Signal(syscall.SIGSTOP); err != nil {
			return fmt.Errorf("stopping a process: %w", err)
		}
		defer func() { err = errors.Join(err, p.command.Process.Signal(syscall.SIGCONT)) }()
	}
	return do()
}

// result is the result of one measurement.
type result struct {
	rate  float64 // lines per second
	cost  float64 // CPU time per line of the processes that store them, in microseconds
	batch float64 // lines per transaction
}

func of(results []result, part func(result) float64) float64 {
	var values []float64
	for _, one := range results {
		values = append(values, part(one))
	}
	return median(values)
}

// measureRows measures lines from publishing to commit in every database, compared with the same rows without NATS and
// JSON. The ways take turns, so that other load on the machine affects all of them.
func measureRows(ctx context.Context, b *bench) error {
	makers, err := b.makers(ctx)
	if err != nil {
		return err
	}
	for _, maker := range makers {
		if err := b.compare(ctx, maker, b.ways()); err != nil {
			return err
		}
	}
	return nil
}

// measureServices measures one, two and four services that share the stream and a database server.
func measureServices(ctx context.Context, b *bench) error {
	makers, err := b.makers(ctx)
	if err != nil {
		return err
	}
	if len(makers) < 2 {
		return nil // SQLite allows only one writer
	}
	var several []way
	for _, count := range b.services {
		several = append(several, way{
			name: fmt.Sprintf("%d services", count), lines: b.rowLines, services: count, durable: true, do: backlog,
		})
	}
	return b.compare(ctx, makers[1], several)
}

// compare reports the medians of several ways and compares the others with the first.
func (b *bench) compare(ctx context.Context, maker maker, ways []way) error {
	results := make([][]result, len(ways))
	for round := range b.rowRounds {
		for i, way := range ways {
			name := fmt.Sprintf("%s, %s, %d of %d", maker.name, way.name, round+1, b.rowRounds)
			one, err := b.lines(ctx, maker, way, name)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			b.say("%s: %.0f lines/s", name, one.rate)
			results[i] = append(results[i], one)
		}
	}
	for i := range ways {
		figure := func(part int, what string) string { return maker.name + ", " + ways[part].name + ": " + what }
		for _, each := range []struct {
			what, unit string
			part       func(result) float64
		}{
			{"committed", "lines/s", func(r result) float64 { return r.rate }},
			{"processor time", "µs per line", func(r result) float64 { return r.cost }},
		} {
			b.report(figure(i, each.what), of(results[i], each.part), each.unit, unlessFirst(i, figure(0, each.what)))
		}
		b.report(figure(i, "in a transaction"), of(results[i], func(r result) float64 { return r.batch }), "lines", "")
	}
	return nil
}

func unlessFirst(i int, against string) string {
	if i == 0 {
		return ""
	}
	return against
}

// lines measures one way once.
func (b *bench) lines(ctx context.Context, maker maker, way way, name string) (one result, err error) {
	w, err := b.newWorld(way.durable)
	if err != nil {
		return one, err
	}
	defer w.close()
	r, err := b.newTrial(ctx, w, maker, way)
	defer func() { err = errors.Join(err, r.close()) }()
	if err != nil {
		return one, err
	}
	before, err := r.cpu()
	if err != nil {
		return one, err
	}
	r.began = time.Now()
	if err := r.stored(ctx, b, way, name); err != nil {
		return one, err
	}
	took := time.Since(r.began)
	after, err := r.cpu()
	if err != nil {
		return one, err
	}
	count, err := r.target.count(ctx)
	if err == nil && count != way.lines {
		err = fmt.Errorf("%d lines are stored, expected %d", count, way.lines)
	}
	if err != nil {
		return one, err
	}
	one.rate = float64(way.lines) / took.Seconds()
	one.cost = float64((after - before).Microseconds()) / float64(way.lines)
	one.batch, err = r.batch(ctx)
	return one, err
}

// batch returns the average number of lines in a transaction.
func (r *trial) batch(ctx context.Context) (float64, error) {
	var events, transactions float64
	for _, service := range r.services {
		sum, err := service.metric(ctx, "rosey_database_batch_events_sum")
		if err != nil {
			return 0, err
		}
		count, err := service.metric(ctx, "rosey_database_batch_events_count")
		if err != nil {
			return 0, err
		}
		events, transactions = events+sum, transactions+count
	}
	if transactions == 0 {
		return batchSize, nil // without a service
	}
	return events / transactions, nil
}

// newTrial prepares a measurement. The caller must close it, even after an error.
func (b *bench) newTrial(ctx context.Context, w *world, maker maker, way way) (r *trial, err error) {
	r = &trial{lines: newLines(way.lines)}
	if r.messages, err = messages(r.lines); err != nil {
		return r, err
	}
	if r.target, err = maker.make(ctx); err != nil {
		return r, err
	}
	if r.conn, err = nats.Connect(w.nats.ClientURL()); err != nil {
		return r, fmt.Errorf("connecting to NATS: %w", err)
	}
	for range way.services {
		service, err := b.startServiceOn(ctx, w, site, r.target)
		if err != nil {
			return r, err
		}
		r.services = append(r.services, service)
	}
	for _, service := range r.services {
		if err := service.untilReady(ctx); err != nil {
			return r, err
		}
	}
	return r, nil
}

// startServiceOn starts a database service for the channel of a CyTube server on an existing database.
func (b *bench) startServiceOn(ctx context.Context, w *world, server string, on *target) (*process, error) {
	return b.start(ctx, append([]string{
		"db", "--nats", w.nats.ClientURL(), "--prefix", prefix, "--server", server, "--channel", channelName,
		"--http", "127.0.0.1:0",
	}, on.arguments...)...)
}

func (r *trial) close() (err error) {
	for _, service := range r.services {
		err = errors.Join(err, service.end())
	}
	if r.conn != nil {
		r.conn.Close()
	}
	if r.target != nil {
		err = errors.Join(err, r.target.close())
	}
	return err
}

// cpu returns the CPU time of the services, or of this process if it inserts the lines itself.
func (r *trial) cpu() (all time.Duration, err error) {
	if len(r.services) == 0 {
		var own syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &own); err != nil {
			return 0, fmt.Errorf("reading the CPU time: %w", err)
		}
		return time.Duration(own.Utime.Nano() + own.Stime.Nano()), nil
	}
	times, err := used(r.services)
	for _, one := range times {
		all += one
	}
	return all, err
}

// stored waits until all lines are committed, and shows the progress.
func (r *trial) stored(ctx context.Context, b *bench, way way, name string) error {
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	doing := make(chan error, 1)
	go func() { doing <- way.do(ctx, r) }()
	shown := time.NewTicker(500 * time.Millisecond)
	defer shown.Stop()
	for done := false; !done; {
		select {
		case err := <-doing:
			if err != nil {
				return err
			}
			done = true
		case <-shown.C:
			if way.services > 0 { // otherwise the inserts use the connection
				if err := r.show(ctx, b, name); err != nil {
					return err
				}
			}
		}
	}
	return r.untilStored(ctx, b, name, shown)
}

// untilStored polls for the last line, and then counts all lines.
func (r *trial) untilStored(ctx context.Context, b *bench, name string, shown *time.Ticker) error {
	all := r.lines[len(r.lines)-1].id
	return until(ctx, "all lines to be stored", func() (bool, error) {
		select {
		case <-shown.C:
			return false, r.show(ctx, b, name)
		default:
		}
		last, err := r.target.last(ctx)
		if err != nil || last != all {
			return false, err
		}
		count, err := r.target.count(ctx)
		return count == len(r.lines), err
	})
}

func (r *trial) show(ctx context.Context, b *bench, name string) error {
	last, err := r.target.last(ctx)
	if err == nil {
		b.progress("%s: %d of %d lines", name, reached(r.lines, last), len(r.lines))
	}
	return err
}
