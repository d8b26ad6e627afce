package relational

import (
	"context"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/store"
)

const (
	// A claim that is valid at $4 keeps the message: the bot may be saying it. Who takes it back is not stored: the name
	// would stay when that user is forgotten. Two transactions that cancel and claim one message lock its row, and the
	// second one sees what the first has done.
	cancelSQL = `UPDATE outbound SET cancelled_at = $4, abandoned_at = $4, last_error = 'taken back', claimed_by = NULL,
  claimed_until = NULL
WHERE id = $3 AND channel_id = ` + channelID + ` AND ` + isOpen + ` AND coalesce(claimed_until, 0) <= $4`

	outboundStateSQL = `SELECT ` + closedStates + `ELSE 'claimed' END
FROM outbound WHERE id = $3 AND channel_id = ` + channelID
)

// CancelOutbound implements store.Store.
func (s Store) CancelOutbound(
	ctx context.Context, channel store.Channel, id int64, now time.Time,
) (state store.OutboundState, err error) {
	err = s.db.Write(ctx, func(ctx context.Context, tx Tx) error {
		arguments := channelArguments(channel, id, now.UnixMilli())
		if _, err := tx.Exec(ctx, cancelSQL, arguments...); err != nil {
			return fmt.Errorf("taking it back: %w", err)
		}
		found, _, err := selectOne(ctx, tx, outboundStateSQL, channelArguments(channel, id), scanValue[string])
		state = store.OutboundState(found)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("taking back outbound message %d: %w", id, err)
	}
	return state, nil
}
