package relational

import (
	"context"
	"fmt"

	"rosey.dev/rosey/runtime/store"
)

// Store is all of a store.Importer but what each database has a way of its own for: Optimize, Size
// and Close.
type Store struct {
	db       Database
	readOnly bool
}

// New makes a store of a database whose schema is up to date.
func New(db Database) Store { return Store{db: db} }

// NewReadOnly makes a store of a database that cannot be changed.
func NewReadOnly(db Database) Store { return Store{db: db, readOnly: true} }

// inChannel selects the id of the channel whose folded server and name are the first two parameters.
const inChannel = `(SELECT id FROM channels WHERE server_key = $1 AND name_key = $2)`

// keyed puts the parameters of inChannel in front of others.
func keyed(channel store.Channel, arguments ...any) []any {
	key := fold(channel)
	return append([]any{key.Server, key.Name}, arguments...)
}

func fold(channel store.Channel) store.Channel {
	return store.Channel{Server: store.CleanText(channel.Server), Name: store.CleanText(channel.Name)}.Fold()
}

// selectIn is Select for a query whose first two parameters are the channel.
func selectIn[T any](
	ctx context.Context, from Executor, query string, channel store.Channel, arguments []any, columns func(*T) []any,
) ([]T, error) {
	return Select(ctx, from, query, keyed(channel, arguments...), columns)
}

// channelRow is a channel in the course of a transaction.
type channelRow struct {
	id int64
	// prunedTo is the time of the newest line that was pruned.
	prunedTo int64
}

// findChannel reads the row of a channel, and makes it where there is none. Until the transaction ends
// nobody prunes the channel.
func (s Store) findChannel(ctx context.Context, session Session, channel store.Channel) (channelRow, error) {
	const insert = `INSERT INTO channels (server_key, name_key, name) VALUES ($1, $2, $3)
ON CONFLICT (server_key, name_key) DO NOTHING`
	find := `SELECT id, chat_pruned_to FROM channels WHERE server_key = $1 AND name_key = $2` + s.db.Share()
	// Read first: an insert would lock the row for all others, though it is there.
	for range 2 {
		row, found, err := selectOne(ctx, session, find, keyed(channel), func(row *channelRow) []any {
			return []any{&row.id, &row.prunedTo}
		})
		if err != nil || found {
			return row, err
		}
		if _, err := session.Exec(ctx, insert, keyed(channel, store.CleanText(channel.Name))...); err != nil {
			return channelRow{}, fmt.Errorf("adding channel %s: %w", channel.Name, err)
		}
	}
	return channelRow{}, fmt.Errorf("channel %s: it was added and is not there", channel.Name)
}

// Identity implements store.Store.
func (s Store) Identity(ctx context.Context) (string, error) {
	id, found, err := selectOne(ctx, s.db, "SELECT id FROM identity", nil, itself[string])
	if err == nil && !found {
		err = fmt.Errorf("%w: the table identity is empty", store.ErrMigration)
	}
	if err != nil {
		return "", fmt.Errorf("reading the database's identity: %w", err)
	}
	return id, nil
}
