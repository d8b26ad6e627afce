package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
)

// saidPause is the time between two messages of the bot: CyTube's limit of ten a second lets each through at once.
const saidPause = 200 * time.Millisecond

// measureSaid puts lines into the outbound queue and waits until each is in the channel, beside an echo.
func measureSaid(ctx context.Context, b *bench) (err error) {
	w, err := b.newWorld(false)
	if err != nil {
		return err
	}
	defer w.close()
	for _, start := range []func() (*process, error){
		func() (*process, error) { return b.startService(ctx, w) },
		func() (*process, error) { return b.startBot(ctx, w, overNATS) },
	} {
		running, startErr := start()
		if startErr != nil {
			return startErr
		}
		defer func() { err = errors.Join(err, running.end()) }()
		if err := running.untilReady(ctx); err != nil {
			return err
		}
	}
	echo, err := startSelf(ctx, "-echo", w.nats.ClientURL())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, endSelf(echo)) }()
	conn, err := nats.Connect(w.nats.ClientURL())
	if err != nil {
		return fmt.Errorf("connecting to NATS: %w", err)
	}
	defer conn.Close()
	if err := w.channel().Join(speaker); err != nil {
		return fmt.Errorf("joining: %w", err)
	}
	var echoed, said, answered []float64
	for n := range b.said {
		for _, each := range []struct {
			took *[]float64
			do   func() error
		}{
			{&echoed, func() error { return waitForResponder(ctx, conn, echoSubject, "hello") }},
			{&said, func() error { return w.put(ctx, conn, fmt.Sprintf("line %d.", n)) }},
			{&answered, func() error { return w.ask(ctx, "current") }},
		} {
			took, err := milliseconds(each.do)
			if err != nil {
				return err
			}
			*each.took = append(*each.took, took)
			time.Sleep(saidPause)
		}
		b.progress("%d of %d lines", n, b.said)
	}
	for _, part := range []int{50, 99} {
		b.report(fmt.Sprintf("an echo: p%d", part), percentile(echoed, part), "ms", "")
		against := fmt.Sprintf("an echo: p%d", part)
		b.report(fmt.Sprintf("from put to the channel: p%d", part), percentile(said, part), "ms", against)
		b.report(fmt.Sprintf("from a private message to its answer: p%d", part), percentile(answered, part), "ms", against)
	}
	return nil
}

// ask sends a private message with a command whose answer is one message, and returns when the bot has answered.
func (w *world) ask(ctx context.Context, command string) error {
	asked, err := w.channel().PM(speaker, account, command)
	if err != nil {
		return fmt.Errorf("asking the bot: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	_, err = w.channel().WaitFor(ctx, asked.Seq, func(e simulator.Entry) bool {
		return e.Kind == simulator.KindPM && e.User == account
	})
	if err != nil {
		return fmt.Errorf("waiting for an answer: %w", err)
	}
	return nil
}

// milliseconds returns how long do takes.
func milliseconds(do func() error) (float64, error) {
	began := time.Now()
	err := do()
	return time.Since(began).Seconds() * 1e3, err
}

// put puts a line into the outbound queue, and returns when it is in the channel.
func (w *world) put(ctx context.Context, conn *nats.Conn, text string) error {
	body, err := bus.Encode(bus.OutboundPutRequest{
		Message: text, Origin: bus.Origin{Server: w.site.URL, Channel: channelName},
	})
	if err != nil {
		return err
	}
	answer, err := conn.RequestWithContext(ctx, config.DefaultSubjectPrefix+"."+string(bus.OutboundPut), body)
	if err != nil {
		return fmt.Errorf("putting a line: %w", err)
	}
	var reply bus.OutboundPutReply
	if err := json.Unmarshal(answer.Data, &reply); err != nil || !reply.Success {
		return fmt.Errorf("putting a line: %s, %w", answer.Data, err)
	}
	for ctx.Err() == nil {
		for _, entry := range w.channel().Log() {
			if strings.Contains(entry.Text, text) {
				return nil
			}
		}
		time.Sleep(100 * time.Microsecond)
	}
	return fmt.Errorf("waiting for a line in the channel: %w", ctx.Err())
}
