package relational

import (
	"context"
	"fmt"

	"rosey.dev/rosey/runtime/store"
)

const (
	// moveSize is how many rows are written to the target in one transaction.
	moveSize = 500
	// moveBytes bounds the texts of these rows: the last of them may exceed it.
	moveBytes = 4 << 20
)

// Moved is what Move did with a table.
type Moved struct {
	Table string `json:"table"`
	// Rows is the number of rows of the source, Taken that of the rows that were missing or older in the target.
	Rows  int64 `json:"rows"`
	Taken int64 `json:"taken"`
}

// Move copies a snapshot of all rows of a database, and its identity, to another database. The source is only read.
// Move may be interrupted and repeated; then it takes what has changed since. It fails unless the target is empty or
// has the identity of the source from an earlier Move. progress is called with the number of rows of a table that have
// been read and their total.
func Move(ctx context.Context, from, to Store, progress func(table string, done, rows int64)) ([]Moved, error) {
	m := &mover{to: to, progress: progress, channels: map[int64]int64{}, names: map[int64]store.Channel{}}
	err := from.db.ReadAll(ctx, func(ctx context.Context, tx Tx) error {
		m.from, m.moved = tx, nil
		if err := m.moveIdentity(ctx); err != nil {
			return err
		}
		if err := m.moveChannels(ctx); err != nil {
			return fmt.Errorf("moving table channels: %w", err)
		}
		if err := m.moveForgotten(ctx); err != nil {
			return fmt.Errorf("forgetting who was forgotten: %w", err)
		}
		for _, table := range copiedTables {
			if err := m.moveTable(ctx, table); err != nil {
				return fmt.Errorf("moving table %s: %w", table.Name, err)
			}
		}
		return nil
	})
	return m.moved, err
}

type mover struct {
	from     Tx
	to       Store
	progress func(table string, done, rows int64)
	// channels maps the source's channel IDs to the target's.
	channels map[int64]int64
	// names are the channels, and forgotten the users who were forgotten in the target alone, by the target's channel IDs.
	names     map[int64]store.Channel
	forgotten map[int64]tombstones
	moved     []Moved
}

// moveIdentity comes first, so that a Move that was interrupted can be repeated.
func (m *mover) moveIdentity(ctx context.Context) error {
	identity, _, err := selectOne(ctx, m.from, "SELECT id FROM identity", nil, scanValue[string])
	if err != nil {
		return fmt.Errorf("reading the source's identity: %w", err)
	}
	own, err := m.to.Identity(ctx)
	if err != nil {
		return err
	}
	if own == identity {
		return nil
	}
	err = m.to.db.Write(ctx, func(ctx context.Context, tx Tx) error {
		// A service that was started with the target before may have recorded its channel there, which is no row.
		empty, err := isEmpty(ctx, tx)
		if err == nil && !empty {
			err = fmt.Errorf("the target holds the rows of another database: its identity is %s, the source's is %s; "+
				"expected an empty database, or one that the source was moved to before", own, identity)
		}
		if err == nil {
			_, err = tx.Exec(ctx, "UPDATE identity SET id = $1", identity)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("setting the target's identity: %w", err)
	}
	m.to.db.IdentityChanged(identity)
	return nil
}

// moveChannels finds or inserts the channels by name, since their IDs in the target may differ.
func (m *mover) moveChannels(ctx context.Context) error {
	type channel struct {
		channelRow
		store.Channel

		owner, ownerName, servedBy any // text or nil
	}
	const query = `SELECT id, server_key, name, chat_pruned_to, people_pruned_to, forgotten_to, owner_prefix, owner_name,
  served_by
FROM channels ORDER BY id`
	channels, err := Select(ctx, m.from, query, nil, func(row *channel) []any {
		return []any{
			&row.id, &row.Server, &row.Name, &row.prunedTo, &row.peoplePrunedTo, &row.forgottenTo, &cell{"text", &row.owner},
			&cell{"text", &row.ownerName}, &cell{"text", &row.servedBy},
		}
	})
	if err != nil {
		return err
	}
	var taken int64
	err = m.to.db.Write(ctx, func(ctx context.Context, tx Tx) error {
		taken = 0
		for _, source := range channels {
			target, _, err := m.to.findChannel(ctx, tx, source.Channel)
			if err != nil {
				return err
			}
			m.channels[source.id], m.names[target.id] = target.id, source.Channel
			changed, err := tx.Exec(ctx, mergePrunedSQL, target.id, source.prunedTo, source.peoplePrunedTo,
				source.forgottenTo)
			if err != nil {
				return fmt.Errorf("storing how far rows are pruned: %w", err)
			}
			taken += changed
			// A service that uses the target already may have taken the channel.
			const keep = `UPDATE channels SET owner_prefix = $1, owner_name = $2, served_by = $3
WHERE id = $4 AND owner_prefix IS NULL AND served_by IS NULL`
			if _, err := tx.Exec(ctx, keep, source.owner, source.ownerName, source.servedBy, target.id); err != nil {
				return fmt.Errorf("storing its owner: %w", err)
			}
		}
		return nil
	})
	m.moved = append(m.moved, Moved{"channels", int64(len(channels)), taken})
	return err
}

func (m *mover) moveTable(ctx context.Context, table Table) error {
	rows, _, err := selectOne(ctx, m.from, "SELECT count(*) FROM "+table.Name, nil, scanValue[int64])
	if err != nil {
		return err
	}
	moved := Moved{Table: table.Name}
	var chunk [][]any
	bytes := 0
	flush := func() error {
		taken, err := m.write(ctx, table, chunk)
		moved.Taken += taken
		chunk, bytes = nil, 0
		m.progress(table.Name, moved.Rows, rows)
		return err
	}
	err = table.each(ctx, m.from, func(row []any) error {
		if table.channel >= 0 {
			id, _ := row[table.channel].(int64)
			row[table.channel] = m.channels[id]
		}
		moved.Rows++
		if row = m.withoutForgotten(table, row); row == nil {
			return nil
		}
		bytes += textBytes(row)
		if chunk = append(chunk, row); len(chunk) < moveSize && bytes < moveBytes {
			return nil
		}
		return flush()
	})
	if err == nil && len(chunk) > 0 {
		err = flush()
	}
	m.moved = append(m.moved, moved)
	return err
}

// textBytes returns the size of the texts of a row.
func textBytes(row []any) (size int) {
	for _, value := range row {
		switch value := value.(type) {
		case string:
			size += len(value)
		case []byte:
			size += len(value)
		}
	}
	return size
}

func (m *mover) write(ctx context.Context, table Table, rows [][]any) (taken int64, err error) {
	err = m.to.db.Write(ctx, func(ctx context.Context, tx Tx) error {
		if table.merge == "" {
			sortRows(rows, 2)
			added, err := tx.Insert(ctx, table, rows)
			taken = int64(len(added))
			return err
		}
		taken, err = tx.ExecAll(ctx, table.Upsert(), rows)
		switch {
		case err != nil:
			return err
		case table.Name == kvTable.Name:
			return recountKV(ctx, tx)
		case table.sequence:
			return m.to.db.AdvanceSequence(ctx, tx, table.Name)
		}
		return nil
	})
	return taken, err
}
