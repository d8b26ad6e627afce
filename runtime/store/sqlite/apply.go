package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"rosey.dev/rosey/runtime/store"
)

// Apply implements store.Store.
func (s *Store) Apply(ctx context.Context, events []store.Event) error {
	return s.change(ctx, func(b *batch) error {
		for _, event := range store.Normalize(events) {
			if err := b.add(ctx, event); err != nil {
				return fmt.Errorf("storing %T %s: %w", event.Fact, event.ID, err)
			}
		}
		return nil
	})
}

// change does work in a transaction: all of it or, with an error, nothing.
func (s *Store) change(ctx context.Context, work func(*batch) error) error {
	if s.write == nil {
		return errReadOnly
	}
	tx, err := s.write.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("beginning a transaction: %w", classify(err))
	}
	if err := work(&batch{tx: tx, statements: s.apply, channels: map[store.Channel]int64{}}); err != nil {
		// The transaction's own error adds nothing to the one that ended it.
		_ = tx.Rollback()
		return classify(err)
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("committing: %w", classify(err))
	}
	return nil
}

// batch is one transaction.
type batch struct {
	tx         *sql.Tx
	statements *statements
	channels   map[store.Channel]int64
}

func (b *batch) add(ctx context.Context, event store.Event) error {
	channel, err := b.channelID(ctx, event.Channel)
	if err != nil {
		return err
	}
	at := event.At.UnixMilli()
	switch fact := event.Fact.(type) {
	case store.UserJoined:
		return b.presence(ctx, event.ID, channel, fact.Username, true, at)
	case store.UserLeft:
		return b.presence(ctx, event.ID, channel, fact.Username, false, at)
	case store.ChatLine:
		return b.chatLine(ctx, event.ID, channel, fact, at)
	case store.UserCount:
		_, err = b.run(ctx, b.statements.userCount, event.ID, channel, at, fact.Chat, fact.Connected)
		return err
	case store.HighWater:
		return b.highWater(ctx, channel, fact, at)
	case store.Status:
		return b.status(ctx, event.ID, channel, fact, at)
	case store.Action:
		_, err = b.run(ctx, b.statements.action, event.ID, channel, at, fact.Username, fact.Type, fact.Details)
		return err
	default:
		return fmt.Errorf("%w: unknown kind of fact %T", store.ErrRejected, fact)
	}
}

func (b *batch) channelID(ctx context.Context, channel store.Channel) (int64, error) {
	key := channel.Fold()
	if id, known := b.channels[key]; known {
		return id, nil
	}
	var id int64
	statement := b.tx.StmtContext(ctx, b.statements.channel)
	if err := statement.QueryRowContext(ctx, key.Server, key.Name, channel.Name).Scan(&id); err != nil {
		return 0, fmt.Errorf("finding channel %s: %w", channel.Name, err)
	}
	b.channels[key] = id
	return id, nil
}

func (b *batch) presence(ctx context.Context, id string, channel int64, name string, joined bool, at int64) error {
	if _, err := b.run(ctx, b.statements.presence, id, channel, store.Fold(name), joined, at); err != nil {
		return err
	}
	return b.seen(ctx, channel, name, at, 0)
}

func (b *batch) chatLine(ctx context.Context, id string, channel int64, line store.ChatLine, at int64) error {
	added, err := b.run(ctx, b.statements.chat, id, channel, at, line.Username, line.Text)
	if err != nil {
		return err
	}
	// A line that was there already added no row, and counts for nothing.
	return b.seen(ctx, channel, line.Username, at, added)
}

func (b *batch) seen(ctx context.Context, channel int64, name string, at, lines int64) error {
	_, err := b.run(ctx, b.statements.user, channel, store.Fold(name), name, at, lines)
	return err
}

func (b *batch) highWater(ctx context.Context, channel int64, mark store.HighWater, at int64) error {
	connected := 0
	if mark.Connected != nil {
		connected = *mark.Connected
	}
	_, err := b.run(ctx, b.statements.highWater, channel, mark.Chat, connected, at)
	return err
}

func (b *batch) status(ctx context.Context, id string, channel int64, status store.Status, at int64) error {
	fields, err := status.Fields()
	if err != nil {
		return fmt.Errorf("%w: %w", store.ErrRejected, err)
	}
	for field, value := range fields {
		if _, err := b.run(ctx, b.statements.status, channel, field, value, at, id); err != nil {
			return err
		}
	}
	return nil
}

// run executes a statement and answers how many rows it changed.
func (b *batch) run(ctx context.Context, statement *sql.Stmt, arguments ...any) (int64, error) {
	result, err := b.tx.StmtContext(ctx, statement).ExecContext(ctx, arguments...)
	if err != nil {
		return 0, fmt.Errorf("executing: %w", err)
	}
	changed, err := result.RowsAffected()
	if err != nil {
		return 0, fmt.Errorf("counting rows: %w", err)
	}
	return changed, nil
}
