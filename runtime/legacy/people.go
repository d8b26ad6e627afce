package legacy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// person is a user under all spellings of the name, which the Python bot kept apart.
type person struct {
	store.ImportedUser

	// shown are different lines among the last ones, repeated those that were there again, and twice
	// those that we have from our own bot.
	shown, repeated, twice int
}

func (i *importer) person(name string) *person {
	key := store.Fold(name)
	if i.people[key] == nil {
		i.people[key] = &person{}
		i.people[key].Username = name
	}
	return i.people[key]
}

func (p *person) line(at time.Time) {
	p.shown++
	p.seen(at, at)
}

func (p *person) seen(first, last time.Time) {
	if p.FirstSeen.IsZero() || first.Before(p.FirstSeen) {
		p.FirstSeen = first
	}
	if last.After(p.LastSeen) {
		p.LastSeen = last
	}
}

// users takes the totals. Lines that were counted twice are taken off as far as they still show; what
// is older is taken as it was counted, since nothing says which version of the bot counted it.
func (i *importer) users(ctx context.Context) error {
	const name = "user_stats"
	columns := []string{
		"username", "first_seen", "last_seen", "total_chat_lines", "total_time_connected", "current_session_start",
	}
	known := map[string]bool{}
	table, err := i.read(ctx, name, "last_seen", columns, func(table *Table, r row) error {
		username := r.text("username")
		first, firstOK := r.past("first_seen")
		last, lastOK := r.past("last_seen")
		lines, linesOK := r.count("total_chat_lines")
		seconds, secondsOK := r.count("total_time_connected")
		switch {
		case username == "":
			table.leave(noName)
			return nil
		case !firstOK || !lastOK:
			table.leave(badTime)
			return nil
		case !linesOK || !secondsOK:
			table.leave(badRow)
			return nil
		}
		p, key := i.person(username), store.Fold(username)
		if known[key] {
			table.Notes["one user under several spellings"]++
		}
		known[key] = true
		p.Username = username // the latest of them comes last
		p.seen(first, last)
		p.Lines += lines
		p.Connected += time.Duration(seconds) * time.Second
		if start, ok := r.past("current_session_start"); ok {
			// When it ended nobody saw; until then they were there.
			table.Notes["an open session, counted until last seen"]++
			p.Connected += max(last.Sub(start), 0)
		}
		table.Taken++
		return nil
	})
	if err != nil {
		return err
	}
	users := make([]store.ImportedUser, 0, len(i.people))
	for _, p := range i.people {
		if p.repeated > 0 {
			table.Notes["lines counted twice, taken off"] += min(p.repeated, p.Lines)
		}
		// Who was in the channel before the Python bot came has lines and no total.
		p.Lines = max(p.Lines-p.repeated, p.shown)
		p.Twice = p.twice
		users = append(users, p.ImportedUser)
	}
	slices.SortFunc(users, func(a, b store.ImportedUser) int { return cmp.Compare(a.Username, b.Username) })
	if err := i.Target.ImportUsers(ctx, i.Channel, users); err != nil {
		return fmt.Errorf("storing what is in %s, table %s: %w", i.Source.Path, name, err)
	}
	return nil
}
