package legacy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// maxTimeDifference is the largest difference between the times of one line in both databases: the Python bot records
// when it stored the line, this one CyTube's time.
const maxTimeDifference = 5 * time.Second

// chat imports the lines of chat. The Python bot handles each event twice and stores each line twice, one after the
// other; since CyTube does not let anybody repeat a line within a second, the second row is a duplicate.
func (i *importer) chat(ctx context.Context) error {
	const name = "recent_chat"
	own, err := i.ownLines(ctx)
	if err != nil {
		return err
	}
	var last line
	var events []store.Event
	inSecond := 0
	table, err := i.read(ctx, name, "timestamp, id", []string{"timestamp", "username", "message"},
		func(table *Table, r row) error {
			at, ok := r.past("timestamp")
			now := line{at.Unix(), r.text("username"), r.text("message")}
			switch {
			case now.user == "":
				table.skip(noName)
				return nil
			case !ok:
				table.skip(badTime)
				return nil
			case now == last:
				table.Duplicates++
				i.person(now.user).duplicates++
				return nil
			}
			if inSecond++; now.second != last.second {
				inSecond = 0
			}
			last = now
			i.person(now.user).addLine(at)
			if own.remove(now) {
				table.Existing++
				i.person(now.user).heardByBoth++
				return nil
			}
			// Milliseconds keep the lines of one second in order.
			at = at.Add(time.Duration(min(inSecond, 999)) * time.Millisecond)
			events = append(events, i.event(at, store.ChatLine{Username: now.user, Text: now.text}, inSecond))
			return nil
		})
	if err != nil {
		return err
	}
	err = i.store(name, events, func(batch []store.Event) error {
		added, err := i.Target.ImportChat(ctx, batch)
		table.Imported += added
		return err
	})
	table.Existing += len(events) - table.Imported
	return err
}

type line struct {
	second     int64
	user, text string
}

// ownLines are the times of the lines that this program's bot stored, by user and text: it was in the channel at the
// same time, or CyTube repeated its last lines when it joined.
type ownLines map[line][]time.Time

func (i *importer) ownLines(ctx context.Context) (ownLines, error) {
	lines, err := i.Target.ChatWithout(ctx, i.Channel, idMarker)
	if err != nil {
		return nil, err
	}
	own := ownLines{}
	for _, one := range lines {
		key := line{user: store.Fold(one.Username), text: one.Text}
		own[key] = append(own[key], one.At)
	}
	return own, nil
}

// remove removes the earliest stored line that is the same as theirs, and reports whether there was one. Callers pass
// lines in the order of their times.
func (o ownLines) remove(theirs line) bool {
	key := line{user: store.Fold(theirs.user), text: theirs.text}
	at := time.Unix(theirs.second, 0)
	for len(o[key]) > 0 && o[key][0].Before(at.Add(-maxTimeDifference)) {
		o[key] = o[key][1:]
	}
	if len(o[key]) == 0 || o[key][0].After(at.Add(maxTimeDifference)) {
		return false
	}
	o[key] = o[key][1:]
	return true
}

// person is a user under all spellings of the name, which the Python bot kept apart.
type person struct {
	store.ImportedUser

	// recentLines is the number of the user's lines among those that the Python bot still has, duplicates that of their
	// duplicates, and heardByBoth that of the lines which this program's bot stored too.
	recentLines, duplicates, heardByBoth int
}

func (i *importer) person(name string) *person {
	key := store.Fold(name)
	if i.people[key] == nil {
		i.people[key] = &person{}
		i.people[key].Username = name
	}
	return i.people[key]
}

func (p *person) addLine(at time.Time) {
	p.recentLines++
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

// users imports the totals of users. Duplicates that the Python bot still has are subtracted; the totals of older lines
// are imported as they are, since nothing shows which version of the bot counted them.
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
			table.skip(noName)
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
		p.Lines += lines
		p.Connected += time.Duration(seconds) * time.Second
		if start, ok := r.past("current_session_start"); ok {
			// Nobody recorded its end; until LastSeen the user was there.
			table.Notes["an open session, counted until last seen"]++
			p.Connected += max(last.Sub(start), 0)
		}
		table.Imported++
		return nil
	})
	if err != nil {
		return err
	}
	users := make([]store.ImportedUser, 0, len(i.people))
	for _, p := range i.people {
		if p.duplicates > 0 {
			table.Notes["lines counted twice, subtracted"] += min(p.duplicates, p.Lines)
		}
		// Users who left before the Python bot joined have lines but no total.
		p.Lines = max(p.Lines-p.duplicates, p.recentLines)
		p.Twice = p.heardByBoth
		users = append(users, p.ImportedUser)
	}
	slices.SortFunc(users, func(a, b store.ImportedUser) int { return cmp.Compare(a.Username, b.Username) })
	if err := i.Target.ImportUsers(ctx, i.Channel, users); err != nil {
		return fmt.Errorf("importing %s, table %s: %w", i.Source.Path, name, err)
	}
	return nil
}
