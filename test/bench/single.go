package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// measureSingle publishes a line, waits until its row is visible to others, and then publishes the next.
func measureSingle(ctx context.Context, b *bench) (err error) {
	makers, done, err := b.makers(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	for _, maker := range makers {
		for _, durable := range []bool{false, true} {
			name := maker.name + ", " + overNATS
			if durable {
				name = maker.name + ", " + overStream
			}
			took, err := b.single(ctx, maker, durable, name)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			for _, part := range []int{50, 99} {
				b.report(fmt.Sprintf("%s: p%d", name, part), percentile(took, part), "ms", "")
			}
		}
	}
	return nil
}

func (b *bench) single(ctx context.Context, maker maker, durable bool, name string) (took []float64, err error) {
	w, err := b.newWorld(durable)
	if err != nil {
		return nil, err
	}
	defer w.close()
	r, err := b.newTrial(ctx, w, maker, way{lines: b.singles, services: 1, durable: durable})
	defer func() { err = errors.Join(err, r.close()) }()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	js, err := jetstream.New(r.conn)
	if err != nil {
		return nil, fmt.Errorf("finding JetStream: %w", err)
	}
	for i, line := range r.lines {
		began := time.Now()
		if durable {
			_, err = js.PublishMsgAsync(r.messages[i])
		} else {
			err = r.conn.PublishMsg(r.messages[i])
		}
		if err != nil {
			return nil, fmt.Errorf("publishing: %w", err)
		}
		for last := ""; last != line.id; {
			if last, err = r.target.last(ctx); err != nil {
				return nil, err
			}
		}
		took = append(took, time.Since(began).Seconds()*1000)
		if i%10 == 0 {
			b.progress("%s: %d of %d lines", name, i, b.singles)
		}
	}
	return took, nil
}
