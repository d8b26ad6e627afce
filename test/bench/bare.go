package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus"
)

const (
	// bareSubject is the subject of bare lines, and bareReady that on which the process answers that stores them.
	bareSubject, bareReady = "bare.line", "bare-ready"
	// bareStream is the stream and the consumer of bare lines.
	bareStream = "bare"
)

// bareOptions are those of a process that stores bare lines: a subscriber that inserts a row for each message.
type bareOptions struct {
	url              string // of the NATS server
	sqlite, postgres string // a database file, or a file with a URL
	durable          bool   // with a stream
}

// newBareStream creates a stream as the bot's is.
func newBareStream(ctx context.Context, conn *nats.Conn) (jetstream.JetStream, error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, fmt.Errorf("finding JetStream: %w", err)
	}
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{
		Name: bareStream, Subjects: []string{bareSubject}, Storage: jetstream.FileStorage,
	})
	if err == nil {
		_, err = stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
			Durable: bareStream, AckPolicy: jetstream.AckExplicitPolicy,
		})
	}
	if err != nil {
		return nil, fmt.Errorf("creating a stream: %w", err)
	}
	return js, nil
}

// serveBare stores lines until ctx ends.
func serveBare(ctx context.Context, o bareOptions) error {
	insert, done, err := openBare(ctx, o)
	if err != nil {
		return err
	}
	defer done()
	conn, err := nats.Connect(o.url)
	if err != nil {
		return fmt.Errorf("connecting to NATS: %w", err)
	}
	defer conn.Close()
	add := func(header nats.Header, data []byte) {
		_, err := insert.ExecContext(ctx, header.Get(bus.MsgIDHeader), time.Now().UnixMilli(), speaker, string(data))
		if err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "bench: inserting a row:", err)
		}
	}
	if o.durable {
		err = consumeBare(ctx, conn, add)
	} else {
		_, err = conn.Subscribe(bareSubject, func(m *nats.Msg) { add(m.Header, m.Data) })
	}
	if err == nil {
		_, err = conn.Subscribe(bareReady, func(m *nats.Msg) { _ = m.Respond(nil) })
	}
	if err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	<-ctx.Done()
	return nil
}

// consumeBare consumes the stream until the connection is closed.
func consumeBare(ctx context.Context, conn *nats.Conn, add func(nats.Header, []byte)) error {
	js, err := jetstream.New(conn)
	if err != nil {
		return err //nolint:wrapcheck // by the caller
	}
	consumer, err := js.Consumer(ctx, bareStream, bareStream)
	if err != nil {
		return err //nolint:wrapcheck // by the caller
	}
	_, err = consumer.Consume(func(m jetstream.Msg) {
		add(m.Headers(), m.Data())
		_ = m.Ack() // the row is there
	})
	return err //nolint:wrapcheck // by the caller
}

// openBare opens a database with the program's schema and prepares the insertion of a row of chat.
func openBare(ctx context.Context, o bareOptions) (insert *sql.Stmt, done func(), err error) {
	var db *sql.DB
	if o.sqlite != "" {
		db, err = openSQLite(o.sqlite)
	} else {
		db, err = openPostgres(o.postgres)
	}
	if err != nil {
		return nil, nil, err
	}
	_, err = db.ExecContext(ctx, rawChannel, channel.Server, channel.Name)
	if err == nil {
		insert, err = db.PrepareContext(ctx, `INSERT INTO chat (event_id, channel_id, at, username, text)
SELECT $1, id, $2, $3, $4 FROM channels`)
	}
	if err != nil {
		_ = db.Close()
		return nil, nil, fmt.Errorf("preparing an insert: %w", err)
	}
	return insert, func() { _ = db.Close() }, nil // its rows are committed
}

// startSelf starts this program with other arguments, as a process of its own, as the service is one.
func startSelf(ctx context.Context, arguments ...string) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	command := exec.CommandContext(ctx, program, arguments...) //nolint:gosec // this program
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting this program: %w", err)
	}
	return command, nil
}

func endSelf(command *exec.Cmd) error {
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping a process: %w", err)
	}
	if err := command.Wait(); err != nil {
		return fmt.Errorf("stopping a process: %w", err)
	}
	return nil
}
