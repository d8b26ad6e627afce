package relational

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// moveForgotten makes the target forget who was forgotten in the source after rows were moved before, and finds who was
// forgotten in the target alone. It comes before the rows about users.
func (m *mover) moveForgotten(ctx context.Context) error {
	m.forgotten = map[int64]tombstones{}
	for source, target := range m.channels {
		forgotten, err := findTombstones(ctx, m.from, channelRow{id: source})
		if err != nil {
			return err
		}
		own := tombstones{}
		err = m.to.db.Read(ctx, func(ctx context.Context, tx Tx) error {
			own, err = findTombstones(ctx, tx, channelRow{id: target})
			return err
		})
		if err != nil {
			return fmt.Errorf("reading the target: %w", err)
		}
		if err := m.forget(ctx, m.names[target], forgotten.after(own)); err != nil {
			return err
		}
		m.forgotten[target] = own.after(forgotten)
	}
	return nil
}

// after returns the tombstones that others do not have, or for an earlier time.
func (t tombstones) after(others tombstones) tombstones {
	later := tombstones{}
	for hash, until := range t {
		if until > others[hash] {
			later[hash] = until
		}
	}
	return later
}

// forget makes the target forget users of a channel. Their tombstones do not say their names.
func (m *mover) forget(ctx context.Context, channel store.Channel, users tombstones) error {
	if len(users) == 0 {
		return nil
	}
	names := map[string]int64{} // folded, and until when
	err := m.to.db.ReadAll(ctx, func(ctx context.Context, tx Tx) error {
		for _, t := range personTables {
			query := "SELECT DISTINCT " + t.user + " FROM " + t.Name + " WHERE channel_id = " + channelID +
				" AND " + t.user + " IS NOT NULL"
			err := each(ctx, tx, query, channelArguments(channel), scanValue[string], func(name string) {
				if until, found := users[store.PersonHash(channel, name)]; found {
					names[store.Fold(name)] = until
				}
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("finding who was forgotten: %w", err)
	}
	for name, until := range names {
		if _, err := m.to.ForgetPerson(ctx, channel, name, time.UnixMilli(until)); err != nil {
			return err
		}
	}
	return nil
}

// withoutForgotten returns what of a row of a table may be in the target. Nil: nothing.
func (m *mover) withoutForgotten(table Table, row []any) []any {
	number := slices.IndexFunc(personTables, func(t personTable) bool { return t.Name == table.Name })
	if number < 0 {
		return row
	}
	t := personTables[number]
	channel, _ := row[table.channel].(int64)
	if len(m.forgotten[channel]) == 0 {
		return row
	}
	user := slices.Index(table.Columns, t.user)
	name, _ := row[user].(string)
	column, isHour := strings.CutSuffix(t.at, hourMillis)
	at, _ := row[slices.Index(table.Columns, column)].(int64)
	if isHour {
		at *= time.Hour.Milliseconds()
	}
	switch {
	case !m.forgotten[channel].cover(m.names[channel], name, time.UnixMilli(at)):
		return row
	case t.anonymous == "":
		return nil
	case table.Name == outboundTable.Name:
		row[user] = nil
	default:
		row[user] = ""
	}
	return row
}
