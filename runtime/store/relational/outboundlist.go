package relational

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"rosey.dev/rosey/runtime/store"
)

// outboundStates are the conditions for the states of outbound messages. $3 is now.
var outboundStates = map[store.OutboundState]string{
	store.OutboundIsSent:      `sent_at IS NOT NULL`,
	store.OutboundIsCancelled: `sent_at IS NULL AND cancelled_at IS NOT NULL`,
	store.OutboundIsFailed:    `sent_at IS NULL AND abandoned_at IS NOT NULL AND cancelled_at IS NULL`,
	store.OutboundIsClaimed:   isOpen + ` AND claimed_until > $3`,
	store.OutboundIsWaiting:   isOpen + ` AND coalesce(claimed_until, 0) <= $3`,
}

// closedStates are the cases of an expression for the state of a message that is not to be sent any more.
const closedStates = `CASE WHEN sent_at IS NOT NULL THEN 'sent' WHEN cancelled_at IS NOT NULL THEN 'cancelled'
  WHEN abandoned_at IS NOT NULL THEN 'failed' `

// isOpen is the condition for a message that is still to be sent.
const isOpen = `sent_at IS NULL AND abandoned_at IS NULL`

var outboundListColumns = `SELECT id, enqueued_at, ` + cut("text") + `, coalesce(asker, ''),
  ` + closedStates + `WHEN claimed_until > $3 THEN 'claimed' ELSE 'waiting' END,
  coalesce(sent_at, cancelled_at, abandoned_at, last_attempt_at), retry_count, coalesce(` + cut("last_error") + `, '')
FROM outbound WHERE channel_id = ` + channelID

// OutboundLines implements store.Queries.
func (s Store) OutboundLines(
	ctx context.Context, channel store.Channel, query store.OutboundListQuery,
) ([]store.OutboundRow, error) {
	statement, arguments := outboundListSQL(channel, query)
	rows, err := Select(ctx, s.db, statement, arguments, func(row *store.OutboundRow) []any {
		return []any{&row.ID, millis{&row.EnqueuedAt}, &row.Text, &row.Asker, (*string)(&row.State), millis{&row.ChangedAt},
			&row.RetryCount, &row.LastError}
	})
	if err != nil {
		return nil, fmt.Errorf("listing outbound messages: %w", err)
	}
	return rows, nil
}

// outboundListSQL returns the statement for the messages of a query, and its arguments.
func outboundListSQL(channel store.Channel, query store.OutboundListQuery) (statement string, arguments []any) {
	arguments = channelArguments(channel, query.Now.UnixMilli())
	statement = outboundListColumns
	if len(query.States) > 0 {
		conditions := make([]string, 0, len(query.States))
		open := true
		for _, state := range query.States {
			conditions = append(conditions, outboundStates[state])
			open = open && slices.Contains([]store.OutboundState{store.OutboundIsWaiting, store.OutboundIsClaimed}, state)
		}
		if open { // for the index of these
			statement += ` AND ` + isOpen
		}
		statement += ` AND (` + strings.Join(conditions, " OR ") + `)`
	}
	if after := query.After; after != nil {
		arguments = append(arguments, after.EnqueuedAt.UnixMilli(), after.ID)
		statement += ` AND (enqueued_at, id) < ($4, $5)`
	}
	arguments = append(arguments, max(query.Limit, 0))
	return fmt.Sprintf("%s ORDER BY enqueued_at DESC, id DESC LIMIT $%d", statement, len(arguments)), arguments
}
