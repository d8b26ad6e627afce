package relational

import (
	"context"
	"fmt"
	"math"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// chatPageSQL selects lines of chat by their direction. $5 and $6 are the line after which they begin.
var chatPageSQL = map[bool]string{
	true: chatPageColumns + ` AND at >= $3 AND at < $4 AND (at, event_id) > ($5, $6) ORDER BY at, event_id LIMIT $7`,
	false: chatPageColumns + ` AND at >= $3 AND at < $4 AND (at, event_id) < ($5, $6)
ORDER BY at DESC, event_id DESC LIMIT $7`,
}

var chatPageColumns = `SELECT event_id, at, ` + cut("username") + `, ` + cut("text") + ` FROM chat
WHERE channel_id = ` + channelID

// A search reads lines in portions: a database server sends all rows of a statement that it has begun to send.
const (
	firstPortion = 1000
	maxPortion   = 10_000
)

// Chat implements store.Queries.
func (s Store) Chat(
	ctx context.Context, channel store.Channel, query store.ChatQuery,
) (page store.ChatPage, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, tx Tx) error {
		reader := chatReader{query: query, place: beginning(query.Span, query.Ascending)}
		if query.After != nil {
			reader.place = *query.After
		}
		portion := query.Limit + 1
		if query.Match != nil {
			portion = firstPortion
		}
		for !reader.finished {
			if err := reader.read(ctx, tx, channel, min(portion, query.MaxRead-reader.count)); err != nil {
				return err
			}
			portion = min(2*portion, maxPortion)
		}
		page = reader.page
		return nil
	})
	if err != nil {
		return store.ChatPage{}, fmt.Errorf("reading chat: %w", err)
	}
	return page, nil
}

// chatReader reads the lines of a page.
type chatReader struct {
	query    store.ChatQuery
	page     store.ChatPage
	place    store.Position // of the last line that was read
	count    int            // lines that were read
	bytes    int            // of the lines of the page
	finished bool
}

// read reads up to limit lines more.
func (r *chatReader) read(ctx context.Context, tx Tx, channel store.Channel, limit int) error {
	if limit <= 0 {
		r.finished, r.page.More = true, true
		return nil
	}
	from, to := bounds(r.query.Span)
	// SQLite begins at the bound of the time, not at that of time and ID: each portion would read all those before it.
	if place := r.place.At.UnixMilli(); r.query.Ascending {
		from = max(from, place)
	} else if place < to {
		to = place + 1
	}
	rows, err := tx.Query(ctx, chatPageSQL[r.query.Ascending],
		channelArguments(channel, from, to, r.place.At.UnixMilli(), r.place.ID, limit)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	read := 0
	for rows.Next() {
		var row store.ChatRow
		if err := rows.Scan(&row.ID, millis{&row.At}, &row.Username, &row.Text); err != nil {
			return fmt.Errorf("reading a row: %w", err)
		}
		if !r.add(row) {
			r.finished, r.page.More = true, true
			return nil
		}
		read++
	}
	r.finished = read < limit
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading rows: %w", err)
	}
	return nil
}

// add adds a line to the page if it matches. It returns false if the page ends before the line.
func (r *chatReader) add(row store.ChatRow) bool {
	size := len(row.Username) + len(row.Text)
	isFull := len(r.page.Lines) >= r.query.Limit || len(r.page.Lines) > 0 && r.bytes+size > r.query.MaxBytes
	// The clock is read only now and then: that costs as much as a line.
	late := r.count%64 == 63 && !r.query.Until.IsZero() && time.Now().After(r.query.Until)
	if isFull || late {
		return false
	}
	r.count++
	r.place = store.Position{At: row.At, ID: row.ID}
	r.page.Read = &store.Position{At: row.At, ID: row.ID}
	if r.query.Match == nil || r.query.Match(row.RecentLine) {
		r.page.Lines = append(r.page.Lines, row)
		r.bytes += size
	}
	return true
}

// beginning returns the place before all events of a span.
func beginning(span store.Span, ascending bool) store.Position {
	from, to := bounds(span)
	if ascending {
		return store.Position{At: time.UnixMilli(from)}
	}
	return store.Position{At: time.UnixMilli(to)}
}

// bounds returns a span in milliseconds.
func bounds(span store.Span) (from, to int64) {
	from, to = 0, math.MaxInt64
	if !span.From.IsZero() {
		from = span.From.UnixMilli()
	}
	if !span.To.IsZero() {
		to = span.To.UnixMilli()
	}
	return from, to
}
