package relational

import (
	"context"
	"fmt"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// countStepsSQL sums samples by steps of $3 milliseconds.
const countStepsSQL = `SELECT at / $3 * $3, count(*), CAST(sum(chat) AS BIGINT), CAST(sum(connected) AS BIGINT),
  max(chat), max(connected)
FROM user_counts WHERE channel_id = ` + channelID + ` AND at >= $4 AND at < $5 GROUP BY 1 ORDER BY 1`

// CountSteps implements store.Queries.
func (s Store) CountSteps(
	ctx context.Context, channel store.Channel, span store.Span, step time.Duration,
) ([]store.CountStep, error) {
	from, to := bounds(span)
	steps, err := Select(ctx, s.db, countStepsSQL, channelArguments(channel, step.Milliseconds(), from, to),
		func(row *store.CountStep) []any {
			return []any{millis{&row.At}, &row.Samples, &row.Chat, &row.Connected, &row.MaxChat, &row.MaxConnected}
		})
	if err != nil {
		return nil, fmt.Errorf("reading samples of the number of users: %w", err)
	}
	return steps, nil
}

const joinsSQL = `SELECT p.at, coalesce(u.name, p.user_key), p.joined
FROM presence p LEFT JOIN users u ON u.channel_id = p.channel_id AND u.name_key = p.user_key
WHERE p.channel_id = ` + channelID + ` AND p.at >= $3 AND p.at < $4 ORDER BY p.at DESC, p.event_id DESC LIMIT $5`

// Joins implements store.Queries.
func (s Store) Joins(
	ctx context.Context, channel store.Channel, span store.Span, limit int,
) ([]store.Join, error) {
	from, to := bounds(span)
	joins, err := Select(ctx, s.db, joinsSQL, channelArguments(channel, from, to, max(limit, 0)),
		func(row *store.Join) []any { return []any{millis{&row.At}, &row.Username, &row.Joined} })
	if err != nil {
		return nil, fmt.Errorf("reading joins and leaves: %w", err)
	}
	return joins, nil
}

const (
	chatHoursSQL = `SELECT hour * 3600000, lines FROM chat_hours
WHERE channel_id = ` + channelID + ` AND user_key = $3 AND hour >= $4 AND hour < $5
  AND lines > 0 ORDER BY hour`
	channelHoursSQL = `SELECT hour * 3600000, CAST(sum(lines) AS BIGINT) FROM chat_hours
WHERE channel_id = ` + channelID + ` AND lines > 0 AND user_key >= $3`
	orderedHours = ` GROUP BY hour ORDER BY hour`
)

func scanHour(row *store.HourCount) []any { return []any{millis{&row.At}, &row.Lines} }

// ChatHours implements store.Queries.
func (s Store) ChatHours(
	ctx context.Context, channel store.Channel, name string, span store.Span,
) ([]store.HourCount, error) {
	const hour = int64(time.Hour / time.Millisecond)
	from, to := bounds(span)
	last := (to-1)/hour + 1 // an hour that has begun counts
	hours, err := Select(ctx, s.db, chatHoursSQL,
		channelArguments(channel, store.Fold(store.CleanText(name)), from/hour, last), scanHour)
	if err != nil {
		return nil, fmt.Errorf("reading the hours of a user: %w", err)
	}
	return hours, nil
}

// ChannelHours implements store.Queries.
func (s Store) ChannelHours(
	ctx context.Context, channel store.Channel, from, to string,
) ([]store.HourCount, error) {
	query, arguments := channelHoursSQL, channelArguments(channel, from)
	if to != "" {
		query, arguments = query+` AND user_key < $4`, append(arguments, to)
	}
	hours, err := Select(ctx, s.db, query+orderedHours, arguments, scanHour)
	if err != nil {
		return nil, fmt.Errorf("reading the hours of a channel: %w", err)
	}
	return hours, nil
}

// playsSQL selects the first reports of plays. Another report on the same item is a part of the play if there is one
// less than store.MediaGap before it, or if a bot found the item playing and the report before was about it too.
var playsSQL = fmt.Sprintf(`SELECT m.event_id, m.at, m.media_type, m.media_id, %[1]s, m.seconds,
  CASE WHEN m.queued_by <> '' THEN m.queued_by ELSE coalesce((SELECT q.queued_by FROM media q
    WHERE q.channel_id = m.channel_id AND q.item_key = m.item_key AND q.at >= m.at AND q.at < m.at + %[2]d
      AND q.queued_by <> '' ORDER BY q.at, q.event_id LIMIT 1), '') END
FROM media m WHERE m.channel_id = %[3]s AND m.at >= $3 AND m.at < $4 AND (m.at, m.event_id) < ($5, $6)
  AND NOT EXISTS (SELECT 1 FROM media p WHERE p.channel_id = m.channel_id AND p.item_key = m.item_key
    AND p.at > m.at - %[2]d AND p.at <= m.at AND (p.at < m.at OR p.event_id < m.event_id))
  AND (m.found_at IS NULL OR m.item_key <> coalesce((SELECT b.item_key FROM media b WHERE b.channel_id = m.channel_id
    AND coalesce(b.found_at, b.at) < m.found_at AND coalesce(b.found_at, b.at) >= m.found_at - %[4]d
    ORDER BY coalesce(b.found_at, b.at) DESC, b.event_id DESC LIMIT 1), ''))
ORDER BY m.at DESC, m.event_id DESC LIMIT $7`,
	cut("m.title"), store.MediaGap.Milliseconds(), channelID, store.MaxPlay.Milliseconds())

// Plays implements store.Queries.
func (s Store) Plays(
	ctx context.Context, channel store.Channel, query store.PlayQuery,
) ([]store.Play, error) {
	from, to := bounds(query.Span)
	place := beginning(query.Span, false)
	if query.After != nil {
		place = *query.After
	}
	arguments := channelArguments(channel, from, to, place.At.UnixMilli(), place.ID, max(query.Limit, 0))
	plays, err := Select(ctx, s.db, playsSQL, arguments, func(row *store.Play) []any {
		return []any{&row.EventID, millis{&row.At}, &row.Type, &row.ID, &row.Title, &row.Seconds,
			&row.QueuedBy}
	})
	if err != nil {
		return nil, fmt.Errorf("reading what was played: %w", err)
	}
	return plays, nil
}
