package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"slices"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
)

// speaker says the lines.
const speaker = "alice"

// warmLines are said before anything is measured: connections, statements and files are then as they stay.
const warmLines = 3

// measureLine says a line in the channel, waits until its row is committed, and does the same with a bare publish and a
// bare commit, in turn.
func measureLine(ctx context.Context, b *bench) error {
	makers, err := b.makers(ctx)
	if err != nil {
		return err
	}
	for _, maker := range makers {
		for _, durable := range []bool{false, true} {
			name := maker.name + ", " + transport(durable)
			bare, stored, err := b.line(ctx, maker, durable, name)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			for _, part := range []int{50, 99} {
				against := fmt.Sprintf("%s, bare publish and commit: p%d", name, part)
				b.report(against, percentile(bare, part), "ms", "")
				b.report(fmt.Sprintf("%s, from the socket to the row: p%d", name, part), percentile(stored, part), "ms",
					against)
			}
		}
	}
	return nil
}

// transport returns the mode of a bot that publishes into a stream, or by core NATS.
func transport(durable bool) string {
	if durable {
		return overStream
	}
	return overNATS
}

// line returns the milliseconds that a bare line and a line of the channel took, for each of b.singles.
func (b *bench) line(ctx context.Context, maker maker, durable bool, name string) (bare, stored []float64, err error) {
	w, err := b.newWorld(durable)
	if err != nil {
		return nil, nil, err
	}
	defer w.close()
	on, err := b.startScene(ctx, w, maker, maker, durable)
	defer func() { err = errors.Join(err, on.end()) }()
	if err != nil {
		return nil, nil, err
	}
	if err := w.channel().Join(speaker); err != nil {
		return nil, nil, fmt.Errorf("joining: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	for n := range warmLines + b.singles {
		text := fmt.Sprintf("line %d: has anybody seen this one before?", n)
		for _, each := range []struct {
			path lineStarter
			took *[]float64
		}{{on.bare, &bare}, {on.said, &stored}} {
			time.Sleep(b.pause)
			took, err := each.path.measure(ctx, text)
			if err != nil {
				return nil, nil, err
			}
			if n >= warmLines {
				*each.took = append(*each.took, took)
			}
		}
		b.progress("%s: %d of %d lines", name, n, b.singles)
	}
	return bare, stored, nil
}

// lineStarter sends a line on its way to a database, and returns a function that says when that was.
type lineStarter struct {
	target *target
	start  func(text string) (began func() time.Time, err error)
}

// measure returns how many milliseconds pass until the row of a line is visible to another connection. It asks the
// database without a pause.
func (s lineStarter) measure(ctx context.Context, text string) (float64, error) {
	began, err := s.start(text)
	if err != nil {
		return 0, err
	}
	for newest := ""; newest != text; {
		if newest, err = s.target.newest(ctx); err != nil {
			return 0, err
		}
	}
	return time.Since(began()).Seconds() * 1e3, nil
}

// scene is a bot and its service, and beside them a process that stores bare lines into another database.
type scene struct {
	said, bare    lineStarter
	service, bot  *process
	barePublisher *barePublisher
	ends          []func() error
}

// end ends the processes, the last one first: the bot publishes its last events to the service.
func (s *scene) end() (err error) {
	for _, end := range slices.Backward(s.ends) {
		err = errors.Join(err, end())
	}
	return err
}

// startScene starts everything of a scene, with a database of the service and one for bare lines. The caller must call
// end, even after an error.
func (b *bench) startScene(ctx context.Context, w *world, said, bare maker, durable bool) (s *scene, err error) {
	s = &scene{}
	for _, each := range []struct {
		target **target
		maker  maker
	}{{&s.said.target, said}, {&s.bare.target, bare}} {
		made, err := each.maker.make(ctx)
		if err != nil {
			return s, err
		}
		*each.target = made
		s.ends = append(s.ends, made.close)
	}
	s.service, err = s.started(ctx, func() (*process, error) {
		return b.startServiceOn(ctx, w, w.site.URL, s.said.target)
	})
	if err != nil {
		return s, err
	}
	if s.bot, err = s.started(ctx, func() (*process, error) { return b.startBot(ctx, w, overNATS) }); err != nil {
		return s, err
	}
	s.said.start = w.say
	if s.barePublisher, err = startBare(ctx, w.nats.ClientURL(), s.bare.target, durable); err != nil {
		return s, err
	}
	s.ends = append(s.ends, s.barePublisher.end)
	s.bare.start = s.barePublisher.publish
	return s, nil
}

// started returns a process that is ready, and that end ends.
func (s *scene) started(ctx context.Context, start func() (*process, error)) (*process, error) {
	p, err := start()
	if err != nil {
		return nil, err
	}
	s.ends = append(s.ends, p.end)
	return p, p.untilReady(ctx)
}

// say says a line in the channel, and returns a function that says when it was written to a socket.
func (w *world) say(text string) (func() time.Time, error) {
	written := w.writes.next(text)
	if _, err := w.channel().Say(speaker, text); err != nil {
		return nil, fmt.Errorf("saying a line: %w", err)
	}
	return written, nil
}

// barePublisher publishes to a process that inserts a row for each message.
type barePublisher struct {
	process *exec.Cmd
	conn    *nats.Conn
	js      jetstream.JetStream // nil: core NATS
}

// startBare starts a process that stores bare lines, and returns when it is ready.
func startBare(ctx context.Context, url string, on *target, durable bool) (*barePublisher, error) {
	conn, err := nats.Connect(url)
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS: %w", err)
	}
	p := &barePublisher{conn: conn}
	if durable {
		if p.js, err = newBareStream(ctx, conn); err != nil {
			conn.Close()
			return nil, err
		}
	}
	arguments := append([]string{"-bare", url}, on.arguments...)
	if durable {
		arguments = append(arguments, "-durable")
	}
	if p.process, err = startSelf(ctx, arguments...); err != nil {
		conn.Close()
		return nil, err
	}
	if err := waitForResponder(ctx, conn, bareReady, ""); err != nil {
		return nil, errors.Join(err, p.end())
	}
	return p, nil
}

func (p *barePublisher) end() error {
	p.conn.Close()
	return endSelf(p.process)
}

// publish publishes a line as the bot does: with an ID, and where there is a stream, with an acknowledgement.
func (p *barePublisher) publish(text string) (began func() time.Time, err error) {
	at := time.Now()
	id := bus.ChatLineID(site, channelName, speaker, at, "", text, 0)
	m := &nats.Msg{Subject: bareSubject, Header: nats.Header{bus.MsgIDHeader: {id}}, Data: []byte(text)}
	if p.js != nil {
		_, err = p.js.PublishMsgAsync(m)
	} else {
		err = p.conn.PublishMsg(m)
	}
	if err != nil {
		return nil, fmt.Errorf("publishing: %w", err)
	}
	return func() time.Time { return at }, nil
}

// writeClock notes when a text is written to a socket of a listener.
type writeClock struct {
	net.Listener

	awaited atomic.Pointer[awaitedWrite]
}

type awaitedWrite struct {
	text []byte
	at   atomic.Pointer[time.Time]
}

// next returns a function that returns when the text was written. It must be called after the text has been read.
func (c *writeClock) next(text string) func() time.Time {
	w := &awaitedWrite{text: []byte(text)}
	c.awaited.Store(w)
	return func() time.Time { return *w.at.Load() }
}

// Accept implements net.Listener.
func (c *writeClock) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err //nolint:wrapcheck // of a listener
	}
	return &clockedConn{conn, c}, nil
}

type clockedConn struct {
	net.Conn

	clock *writeClock
}

// Write implements net.Conn.
func (c *clockedConn) Write(data []byte) (int, error) {
	if w := c.clock.awaited.Load(); w != nil && bytes.Contains(data, w.text) {
		w.at.CompareAndSwap(nil, new(time.Now()))
	}
	return c.Conn.Write(data) //nolint:wrapcheck // of a connection
}
