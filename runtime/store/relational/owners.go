package relational

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"rosey.dev/rosey/runtime/store"
)

// Owners implements the methods of store.ChannelOwners that store.Store does not have.
type Owners struct{ db Database }

// NewOwners returns the owners of the channels of a database whose schema is up to date.
func NewOwners(db Database) Owners { return Owners{db: db} }

const (
	// Two services that try this at the same time update one row, the second one after the first has committed: then
	// the channel has an owner.
	takeSQL = `UPDATE channels SET owner_prefix = $3, owner_name = $4, served_by = $3
WHERE server_key = $1 AND name_key = $2 AND owner_prefix IS NULL`

	ownersSQL = `SELECT server_key, name_key, name, coalesce(owner_prefix, ''), coalesce(owner_name, ''),
  coalesce(served_by, '') FROM channels`

	assignSQL = `UPDATE channels SET owner_prefix = $3, owner_name = $4, served_by = $3
WHERE server_key = $1 AND name_key = $2`

	// Everything that a prefix of a RoseyBot had becomes that of its new prefix.
	inheritOwnedSQL  = `UPDATE channels SET owner_prefix = $2 WHERE owner_prefix = $1 AND owner_name = $3`
	inheritServedSQL = `UPDATE channels SET served_by = $2 WHERE served_by = $1`
)

// channelOwner is a row of ownersSQL.
type channelOwner struct {
	key      store.Channel
	name     string
	owner    store.Service
	servedBy string
}

func scanOwner(row *channelOwner) []any {
	return []any{&row.key.Server, &row.key.Name, &row.name, &row.owner.Prefix, &row.owner.Name, &row.servedBy}
}

// TakeChannel implements store.ChannelOwners.
func (o Owners) TakeChannel(
	ctx context.Context, service store.Service, channel store.Channel,
) (owner store.Service, err error) {
	err = o.db.Write(ctx, func(ctx context.Context, tx Tx) error {
		if owner, err = ownerOf(ctx, tx, channel); err != nil || owner == service {
			return err
		}
		if owner, err = take(ctx, tx, service, channel); err != nil || owner == service {
			return err
		}
		if !owner.Is(service) {
			return store.ErrChannelOwned
		}
		return inherit(ctx, tx, owner, service, channel)
	})
	if err != nil {
		return owner, fmt.Errorf("taking channel %s: %w", channel.Name, err)
	}
	return service, nil
}

// ownerOf returns the zero Service if nobody owns the channel.
func ownerOf(ctx context.Context, tx Tx, channel store.Channel) (store.Service, error) {
	row, _, err := selectOne(ctx, tx, ownersSQL+` WHERE server_key = $1 AND name_key = $2`, channelArguments(channel),
		scanOwner)
	return row.owner, err
}

// take makes a service the owner of a channel that has none, and returns the owner.
func take(ctx context.Context, tx Tx, service store.Service, channel store.Channel) (store.Service, error) {
	// Not by findChannel: two transactions that lock the row in share mode could not both update it.
	name := store.CleanText(channel.Name)
	if _, err := tx.Exec(ctx, insertChannelSQL, channelArguments(channel, name)...); err != nil {
		return store.Service{}, fmt.Errorf("inserting it: %w", err)
	}
	if _, err := tx.Exec(ctx, takeSQL, channelArguments(channel, service.Prefix, service.Name)...); err != nil {
		return store.Service{}, fmt.Errorf("recording its owner: %w", err)
	}
	return ownerOf(ctx, tx, channel)
}

// inherit gives a service what the same RoseyBot had under another prefix, or records its name.
func inherit(ctx context.Context, tx Tx, from, to store.Service, channel store.Channel) error {
	if _, err := tx.Exec(ctx, assignSQL, channelArguments(channel, to.Prefix, to.Name)...); err != nil {
		return fmt.Errorf("recording its owner: %w", err)
	}
	if from.Prefix == to.Prefix {
		return nil
	}
	if _, err := tx.Exec(ctx, inheritOwnedSQL, from.Prefix, to.Prefix, to.Name); err != nil {
		return fmt.Errorf("recording the owner of its other channels: %w", err)
	}
	if _, err := tx.Exec(ctx, inheritServedSQL, from.Prefix, to.Prefix); err != nil {
		return fmt.Errorf("recording who serves its other channels: %w", err)
	}
	return nil
}

// ServeChannels implements store.ChannelOwners. Nothing is written for a channel that has no rows yet.
func (o Owners) ServeChannels(
	ctx context.Context, service store.Service, channels []store.Channel,
) (owned []store.OwnedChannel, err error) {
	served := map[store.Channel]bool{}
	for _, channel := range channels {
		served[foldChannel(channel)] = true
	}
	rows, err := Select(ctx, o.db, ownersSQL, nil, scanOwner)
	if err != nil {
		return nil, fmt.Errorf("reading the owners of the channels: %w", err)
	}
	var changed [][]any
	for _, row := range rows {
		switch {
		case !served[row.key]:
		case row.owner.Prefix != "" && !row.owner.Is(service):
			owned = append(owned, store.OwnedChannel{Channel: row.key, Owner: row.owner, ServedBy: row.servedBy})
		case row.servedBy != service.Prefix:
			changed = append(changed, []any{row.key.Server, row.key.Name, service.Prefix})
		}
	}
	if len(changed) == 0 {
		return owned, nil
	}
	sortRows(changed, 2)
	err = o.db.Write(ctx, func(ctx context.Context, tx Tx) error {
		const query = `UPDATE channels SET served_by = $3 WHERE server_key = $1 AND name_key = $2`
		_, err := tx.ExecAll(ctx, query, changed)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("recording who serves the channels: %w", err)
	}
	return owned, nil
}

// Channels implements store.ChannelOwners.
func (o Owners) Channels(ctx context.Context) ([]store.OwnedChannel, error) {
	rows, err := Select(ctx, o.db, ownersSQL, nil, scanOwner)
	if err != nil {
		return nil, fmt.Errorf("reading the channels: %w", err)
	}
	channels := make([]store.OwnedChannel, 0, len(rows))
	for _, row := range rows {
		channel := store.Channel{Server: row.key.Server, Name: row.name}
		channels = append(channels, store.OwnedChannel{Channel: channel, Owner: row.owner, ServedBy: row.servedBy})
	}
	slices.SortFunc(channels, func(a, b store.OwnedChannel) int {
		return cmp.Or(cmp.Compare(a.Server, b.Server), cmp.Compare(a.Name, b.Name))
	})
	return channels, nil
}

// AssignChannel implements store.ChannelOwners.
func (o Owners) AssignChannel(
	ctx context.Context, service store.Service, channel store.Channel,
) (before store.Service, err error) {
	err = o.db.Write(ctx, func(ctx context.Context, tx Tx) error {
		if before, err = ownerOf(ctx, tx, channel); err != nil {
			return err
		}
		if _, err = take(ctx, tx, service, channel); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, assignSQL, channelArguments(channel, service.Prefix, service.Name)...)
		return err
	})
	if err != nil {
		return before, fmt.Errorf("assigning channel %s: %w", channel.Name, err)
	}
	return before, nil
}
