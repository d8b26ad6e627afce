package relational

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"rosey.dev/rosey/runtime/store"
)

// channelID is a subquery for the ID of the channel whose folded server and name are the first two parameters.
const channelID = `(SELECT id FROM channels WHERE server_key = $1 AND name_key = $2)`

// channelArguments returns the parameters of channelID, followed by others.
func channelArguments(channel store.Channel, others ...any) []any {
	key := foldChannel(channel)
	return append([]any{key.Server, key.Name}, others...)
}

func foldChannel(channel store.Channel) store.Channel {
	return store.Channel{Server: store.CleanText(channel.Server), Name: store.CleanText(channel.Name)}.Fold()
}

// channelRow is a row of channels.
type channelRow struct {
	id int64
	// prunedTo is the time of the newest chat line that was pruned, and peoplePrunedTo that of the newest event about a
	// user who was pruned, in milliseconds.
	prunedTo, peoplePrunedTo int64
	// forgottenTo is the time up to which something about a user who was forgotten must not be stored, in milliseconds.
	forgottenTo int64
}

// insertChannelSQL inserts a channel unless it exists.
const insertChannelSQL = `INSERT INTO channels (server_key, name_key, name) VALUES ($1, $2, $3)
ON CONFLICT (server_key, name_key) DO NOTHING`

// findChannel returns the row of a channel and inserts it if necessary. The row stays locked against pruning until the
// transaction ends. existed is false for a row that is inserted: it is gone if the transaction is rolled back.
func (s Store) findChannel(
	ctx context.Context, tx Tx, channel store.Channel,
) (row channelRow, existed bool, err error) {
	find := `SELECT id, chat_pruned_to, people_pruned_to, forgotten_to FROM channels
WHERE server_key = $1 AND name_key = $2` +
		s.db.ForShare()
	// It is read first because an insert would block all other writers of the channel, even if the row exists.
	for attempt := range 2 {
		row, found, err := selectOne(ctx, tx, find, channelArguments(channel), func(row *channelRow) []any {
			return []any{&row.id, &row.prunedTo, &row.peoplePrunedTo, &row.forgottenTo}
		})
		if err != nil || found {
			return row, attempt == 0, err
		}
		name := store.CleanText(channel.Name)
		if _, err := tx.Exec(ctx, insertChannelSQL, channelArguments(channel, name)...); err != nil {
			return channelRow{}, false, fmt.Errorf("inserting channel %s: %w", channel.Name, err)
		}
	}
	return channelRow{}, false, fmt.Errorf("channel %s: not found after it was inserted", channel.Name)
}

// expectChannel returns a row of a channel as it was, and has the transaction fail with ErrChanged if it is another by
// now. It needs no answer of the database before the next statement. The row is locked as by findChannel.
func (s Store) expectChannel(ctx context.Context, tx Tx, channel store.Channel, row channelRow) error {
	expect := `SELECT 1 FROM channels WHERE server_key = $1 AND name_key = $2 AND id = $3
AND chat_pruned_to = $4 AND people_pruned_to = $5 AND forgotten_to = $6` + s.db.ForShare()
	arguments := channelArguments(channel, row.id, row.prunedTo, row.peoplePrunedTo, row.forgottenTo)
	return tx.ExpectLater(ctx, expect, arguments)
}

// findChannels returns the rows of the channels of events by their folded names. A report on an outbound message needs
// none: where there is a message, its channel has a row. With remembered, rows may be as they were when a transaction
// read them before, and the transaction fails with ErrChanged if they are others by now.
func (s Store) findChannels(
	ctx context.Context, tx Tx, events []store.Event, remembered bool,
) (map[store.Channel]channelRow, error) {
	spelling := map[store.Channel]store.Channel{}
	var keys []store.Channel
	for _, event := range events {
		switch event.Fact.(type) {
		case store.OutboundSent, store.OutboundFailed:
			continue
		}
		key := foldChannel(event.Channel)
		if _, known := spelling[key]; !known {
			spelling[key] = event.Channel
			keys = append(keys, key)
		}
	}
	// All transactions lock channels in one order.
	slices.SortFunc(keys, func(a, b store.Channel) int {
		return strings.Compare(a.Server+"\x00"+a.Name, b.Server+"\x00"+b.Name)
	})
	rows := make(map[store.Channel]channelRow, len(keys))
	for _, key := range keys {
		row, existed := s.channels.find(key)
		var err error
		if existed && remembered {
			err = s.expectChannel(ctx, tx, key, row)
		} else {
			row, existed, err = s.findChannel(ctx, tx, spelling[key])
		}
		if err != nil {
			return nil, err
		}
		if existed { // others must not use a row that is rolled back
			s.channels.keep(key, row)
		}
		rows[key] = row
	}
	return rows, nil
}

// maxRemembered bounds the channels that are remembered. A service has fewer.
const maxRemembered = 1000

// channelMemory has the rows of channels as transactions of this store have found or left them, by their folded names.
// Where others write too, the database has to compare them: see Tx.ExpectLater.
type channelMemory struct {
	mu   sync.Mutex
	rows map[store.Channel]channelRow
}

func newChannelMemory() *channelMemory {
	return &channelMemory{rows: map[store.Channel]channelRow{}}
}

func (m *channelMemory) find(key store.Channel) (row channelRow, known bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	row, known = m.rows[key]
	return row, known
}

func (m *channelMemory) keep(key store.Channel, row channelRow) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.rows) >= maxRemembered {
		clear(m.rows)
	}
	m.rows[key] = row
}

// forget is called in a transaction that changes rows, and after one that failed.
func (m *channelMemory) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.rows)
}
