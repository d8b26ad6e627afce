package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
)

// echoSubject is the subject of the echo.
const echoSubject = "echo"

// serveEcho replies to each request with its data until ctx ends, to measure a bare NATS round trip.
func serveEcho(ctx context.Context, url string) error {
	conn, err := nats.Connect(url)
	if err != nil {
		return fmt.Errorf("connecting to NATS: %w", err)
	}
	defer conn.Close()
	_, err = conn.Subscribe(echoSubject, func(m *nats.Msg) { _ = m.Respond(m.Data) })
	if err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	<-ctx.Done()
	return nil
}

// measureRequests sends requests to an echo and to the service in turn.
func measureRequests(ctx context.Context, b *bench) error {
	makers, err := b.makers(ctx)
	if err != nil {
		return err
	}
	for _, maker := range makers {
		if err := b.requests(ctx, maker); err != nil {
			return fmt.Errorf("%s: %w", maker.name, err)
		}
	}
	return nil
}

func (b *bench) requests(ctx context.Context, maker maker) (err error) {
	w, err := b.newWorld(false)
	if err != nil {
		return err
	}
	defer w.close()
	r, err := b.newTrial(ctx, w, maker, way{lines: b.singleLines, services: 1})
	defer func() { err = errors.Join(err, r.close()) }()
	if err != nil {
		return err
	}
	if err := publishCore(ctx, r.conn, r.messages, b.singleLines, 1); err != nil {
		return err
	}
	echo, err := startSelf(ctx, "-echo", w.nats.ClientURL())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endSelf(echo)) }()
	asked := []struct{ name, subject, body string }{
		{"an echo", echoSubject, `{"username":"user07"}`},
		{"outbound.get", prefix + "." + string(bus.OutboundGet), `{"claimant":"bench"}`},
		{"query.user_stats", prefix + "." + string(bus.QueryUserStats), `{"username":"user07"}`},
	}
	took := make([][]float64, len(asked))
	for n := range b.requestRounds {
		for i, each := range asked {
			began := time.Now()
			if err := waitForResponder(ctx, r.conn, each.subject, each.body); err != nil {
				return err
			}
			took[i] = append(took[i], time.Since(began).Seconds()*1e6)
		}
		if n%100 == 0 {
			b.progress("%s: %d of %d requests", maker.name, n, b.requestRounds)
		}
	}
	for i, each := range asked {
		for _, part := range []int{50, 99} {
			name := func(what string) string { return fmt.Sprintf("%s, %s: p%d", maker.name, what, part) }
			b.report(name(each.name), percentile(took[i], part), "µs", unlessFirst(i, name(asked[0].name)))
		}
	}
	return nil
}

// waitForResponder retries a request until there is a reply: a process that has just started may not have subscribed
// yet.
func waitForResponder(ctx context.Context, conn *nats.Conn, subject, body string) error {
	return until(ctx, "an answer on "+subject, func() (bool, error) {
		_, err := conn.RequestWithContext(ctx, subject, []byte(body))
		if errors.Is(err, nats.ErrNoResponders) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("requesting %s: %w", subject, err)
		}
		return true, nil
	})
}

// percentile returns the value that the given percentage of values do not exceed.
func percentile(values []float64, of int) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)*of/100, len(sorted)-1)]
}
