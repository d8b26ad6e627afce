package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
)

const (
	// echoSubject is what answer answers.
	echoSubject = "echo"
	requests    = 2_000
)

// answer sends back what is asked until ctx ends: a NATS round trip and nothing else.
func answer(ctx context.Context, url string) error {
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

// measureRequests asks an echo and the service in turn.
func measureRequests(ctx context.Context, b *bench) (err error) {
	makers, done, err := b.makers()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
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
	r, err := b.newTrial(ctx, w, maker, way{lines: singleLines, services: 1})
	defer func() { err = errors.Join(err, r.close()) }()
	if err != nil {
		return err
	}
	if err := publishCore(ctx, r.conn, r.messages, singleLines, 1); err != nil {
		return err
	}
	echo, err := startEcho(ctx, w.nats.ClientURL())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endEcho(echo)) }()
	asked := []struct{ name, subject, body string }{
		{"an echo", echoSubject, `{"username":"user07"}`},
		{"outbound.get", prefix + "." + string(bus.OutboundGet), `{"claimant":"bench"}`},
		{"query.user_stats", prefix + "." + string(bus.QueryUserStats), `{"username":"user07"}`},
	}
	took := make([][]float64, len(asked))
	for n := range requests {
		for i, each := range asked {
			began := time.Now()
			if err := askFor(ctx, r.conn, each.subject, each.body); err != nil {
				return err
			}
			took[i] = append(took[i], time.Since(began).Seconds()*1e6)
		}
		if n%100 == 0 {
			b.progress("%s: %d of %d requests", maker.name, n, requests)
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

// askFor waits for whoever answers: a process that was just started may not listen yet.
func askFor(ctx context.Context, conn *nats.Conn, subject, body string) error {
	return until(ctx, "an answer on "+subject, func() (bool, error) {
		_, err := conn.RequestWithContext(ctx, subject, []byte(body))
		if errors.Is(err, nats.ErrNoResponders) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("asking on %s: %w", subject, err)
		}
		return true, nil
	})
}

// startEcho starts this program again: an echo in this process would be nearer than a service is.
func startEcho(ctx context.Context, url string) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	echo := exec.CommandContext(ctx, program, "-echo", url) //nolint:gosec // this program
	echo.Stderr = os.Stderr
	if err := echo.Start(); err != nil {
		return nil, fmt.Errorf("starting an echo: %w", err)
	}
	return echo, nil
}

func endEcho(echo *exec.Cmd) error {
	if err := errors.Join(echo.Process.Signal(syscall.SIGTERM), echo.Wait()); err != nil {
		return fmt.Errorf("ending the echo: %w", err)
	}
	return nil
}

// percentile is what so many of a hundred values do not exceed.
func percentile(values []float64, of int) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[min(len(sorted)*of/100, len(sorted)-1)]
}
