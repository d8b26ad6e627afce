package relational

import (
	"context"
	"errors"
	"fmt"

	"rosey.dev/rosey/runtime/store"
)

// moveSize is how many rows share a transaction of the target.
const moveSize = 500

// ErrForeign says that a target of Move holds another database's rows.
var ErrForeign = errors.New("the target holds the rows of another database")

// Moved says what Move did with a table.
type Moved struct {
	Table string `json:"table"`
	// Rows are those of the source, Taken those that were not in the target or were older there.
	Rows  int64 `json:"rows"`
	Taken int64 `json:"taken"`
}

// Move copies all rows of a database, as of one moment, and its identity into another. The source is
// only read. It can be ended at any time and done again: then it takes what has changed since. It fails
// with ErrForeign unless the target is empty or the source was moved to it before. progress is told how
// many rows of a table were read.
func Move(ctx context.Context, from, to Store, progress func(table string, done, rows int64)) ([]Moved, error) {
	m := &mover{to: to, progress: progress, channels: map[int64]int64{}}
	err := from.db.Read(ctx, func(session Session) error {
		m.from, m.moved = session, nil
		if err := m.takeIdentity(ctx); err != nil {
			return err
		}
		if err := m.moveChannels(ctx); err != nil {
			return fmt.Errorf("moving table channels: %w", err)
		}
		for _, table := range movedTables {
			if err := m.move(ctx, table); err != nil {
				return fmt.Errorf("moving table %s: %w", table.name, err)
			}
		}
		return nil
	})
	return m.moved, err
}

type mover struct {
	from     Session
	to       Store
	progress func(table string, done, rows int64)
	// channels are the target's ids of the source's.
	channels map[int64]int64
	moved    []Moved
}

// takeIdentity comes first: what was moved in part is known by it when the move goes on.
func (m *mover) takeIdentity(ctx context.Context) error {
	identity, _, err := selectOne(ctx, m.from, "SELECT id FROM identity", nil, itself[string])
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
	err = m.to.db.Write(ctx, func(session Session) error {
		// All other rows belong to a channel or are dead letters.
		const query = "SELECT (SELECT count(*) FROM channels) + (SELECT count(*) FROM dead_letters)"
		rows, _, err := selectOne(ctx, session, query, nil, itself[int64])
		if err == nil && rows > 0 {
			err = fmt.Errorf("%w: its identity is %s, the source's %s; expected an empty database, or one that the "+
				"source was moved to before", ErrForeign, own, identity)
		}
		if err == nil {
			_, err = session.Exec(ctx, "UPDATE identity SET id = $1", identity)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("giving the target the source's identity: %w", err)
	}
	m.to.db.Adopted(identity)
	return nil
}

// moveChannels finds or makes the channels by their names: their ids differ where the target made them.
func (m *mover) moveChannels(ctx context.Context) error {
	type channel struct {
		id, prunedTo int64
		store.Channel
	}
	const query = "SELECT id, server_key, name, chat_pruned_to FROM channels ORDER BY id"
	channels, err := Select(ctx, m.from, query, nil, func(row *channel) []any {
		return []any{&row.id, &row.Server, &row.Name, &row.prunedTo}
	})
	if err != nil {
		return err
	}
	var taken int64
	err = m.to.db.Write(ctx, func(session Session) error {
		taken = 0
		for _, source := range channels {
			target, err := m.to.findChannel(ctx, session, source.Channel)
			if err != nil {
				return err
			}
			m.channels[source.id] = target.id
			const mark = "UPDATE channels SET chat_pruned_to = $1 WHERE id = $2 AND chat_pruned_to < $1"
			changed, err := session.Exec(ctx, mark, source.prunedTo, target.id)
			if err != nil {
				return fmt.Errorf("marking how far chat is pruned: %w", err)
			}
			taken += changed
		}
		return nil
	})
	m.moved = append(m.moved, Moved{"channels", int64(len(channels)), taken})
	return err
}

func (m *mover) move(ctx context.Context, table movedTable) error {
	rows, _, err := selectOne(ctx, m.from, "SELECT count(*) FROM "+table.name, nil, itself[int64])
	if err != nil {
		return err
	}
	moved := Moved{Table: table.name}
	var chunk [][]any
	save := func() error {
		taken, err := m.save(ctx, table, chunk)
		moved.Taken += taken
		chunk = nil
		m.progress(table.name, moved.Rows, rows)
		return err
	}
	err = table.each(ctx, m.from, func(row []any) error {
		if table.channel >= 0 {
			id, _ := row[table.channel].(int64)
			row[table.channel] = m.channels[id]
		}
		moved.Rows++
		if chunk = append(chunk, row); len(chunk) < moveSize {
			return nil
		}
		return save()
	})
	if err == nil && len(chunk) > 0 {
		err = save()
	}
	m.moved = append(m.moved, moved)
	return err
}

func (m *mover) save(ctx context.Context, table movedTable, rows [][]any) (taken int64, err error) {
	err = m.to.db.Write(ctx, func(session Session) error {
		if table.merge == "" {
			sortRows(rows, 1)
			added, err := session.Insert(ctx, table.asTable(), rows)
			taken = int64(len(added))
			return err
		}
		if taken, err = session.ExecAll(ctx, table.insert(), rows); err != nil || !table.numbered {
			return err
		}
		return m.to.db.Renumber(ctx, session, table.name)
	})
	return taken, err
}
