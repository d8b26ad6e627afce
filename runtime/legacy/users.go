package legacy

import (
	"cmp"
	"context"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// person is a user under all spellings of the name, which the Python bot kept apart.
type person struct {
	store.ImportedUser

	// counted is how many lines the Python bot counted. recentLines is the number of the user's lines that it still has,
	// recentRows that of their rows, and heardByBoth that of the lines which this program's bot stored too.
	counted, recentLines, recentRows, heardByBoth int
	// rows is the number of rows with the user's totals.
	rows int
}

func (i *importer) person(name string) *person {
	key := store.Fold(name)
	if i.people[key] == nil {
		i.people[key] = &person{}
		i.people[key].Username = name
	}
	return i.people[key]
}

func (p *person) addLine(at time.Time, rows int) {
	p.recentLines++
	p.recentRows += rows
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

// olderCount is how many of the counted lines the Python bot does not have any more.
func (p *person) olderCount() int { return max(p.counted-p.recentRows, 0) }

// countLines sets the number of the user's lines: those that the Python bot still has, and half of the older ones if it
// counted those twice. A line that it counted once, because it was ended in between, is a line.
func (p *person) countLines(olderTwice bool) {
	older := p.olderCount()
	if olderTwice {
		older = (older + 1) / 2
	}
	// Users who left before the Python bot joined have lines that were not counted.
	p.Lines = p.recentLines + older
	p.Twice = p.heardByBoth
}

// olderTwice reports whether lines that the Python bot does not have any more were counted twice: the oldest that it
// has were stored twice, and hardly anybody has an odd number of older ones.
func (i *importer) olderTwice() bool {
	people, odd := 0, 0
	for _, p := range i.people {
		if older := p.olderCount(); older > 0 {
			people++
			odd += older % 2
		}
	}
	return i.oldestTwice && odd*4 <= people
}

// users imports the totals of users.
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
		lines, linesOK := r.count("total_chat_lines", maxLines)
		seconds, secondsOK := r.count("total_time_connected", int64(maxConnected/time.Second))
		switch problem := i.nameProblem(username); {
		case problem != "":
			table.skip(problem)
			return nil
		case !firstOK || !lastOK:
			table.skip(badTime)
			return nil
		case !linesOK || !secondsOK:
			table.skip(badNumber)
			return nil
		}
		p, key := i.person(username), store.Fold(username)
		if known[key] {
			table.Notes["one user under several spellings"]++
		}
		known[key] = true
		p.Username = username // rows are sorted: the latest spelling wins
		p.seen(first, last)
		p.counted += lines
		p.Connected = min(p.Connected+time.Duration(seconds)*time.Second, maxConnected)
		if start, ok := r.past("current_session_start"); ok {
			// Nobody recorded its end; until LastSeen the user was there.
			table.Notes["an open session, counted until last seen"]++
			p.Connected += max(last.Sub(start), 0)
		}
		p.rows++
		table.Imported++
		return nil
	})
	if err != nil {
		return err
	}
	users := i.importedUsers(table)
	return i.wrap(name, i.Target.ImportUsers(ctx, i.Channel, users))
}

// importedUsers returns what all tables say about users, but no user who was last seen before what is kept.
func (i *importer) importedUsers(table *Table) []store.ImportedUser {
	olderTwice := i.olderTwice()
	users := make([]store.ImportedUser, 0, len(i.people))
	retained := i.retained(table.Name)
	for _, p := range i.people {
		if retained.older(p.LastSeen) {
			if p.rows > 0 {
				table.Imported -= p.rows
				table.Skipped[retained.olderReason()] += p.rows
			}
			continue
		}
		p.countLines(olderTwice)
		if twice := p.counted - p.Lines; twice > 0 {
			table.Notes["lines counted twice, subtracted"] += twice
		}
		users = append(users, p.ImportedUser)
	}
	sortUsers(users)
	return users
}

func sortUsers(users []store.ImportedUser) {
	slices.SortFunc(users, func(a, b store.ImportedUser) int { return cmp.Compare(a.Username, b.Username) })
}
