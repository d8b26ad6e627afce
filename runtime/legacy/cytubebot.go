package legacy

import (
	"context"
	"fmt"
	"strings"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// A CytubeBot stores each line of chat once, with the channel's name and CyTube's own time in milliseconds. It does not
// store when somebody came and went, how many lines they wrote, or when something was queued or played.

// inChannel reports whether a row is of a channel. One that does not say so is.
func inChannel(r row, column string, channel store.Channel) bool {
	name := r.text(column)
	return name == "" || store.Fold(name) == store.Fold(channel.Name)
}

// CheckChannel returns an error if the file has lines of other channels, and none of this one. A file of a Python Rosey
// does not say which channel its rows are of.
func (s *Source) CheckChannel(ctx context.Context, channel store.Channel) error {
	if !s.Program.isCytubeBot() {
		return nil
	}
	const (
		query = `SELECT CASE WHEN octet_length(channel) > 200 THEN '' ELSE channel END, count(*), 0 FROM chat
GROUP BY channel ORDER BY count(*) DESC, channel`
		shown = 5
	)
	var others []string
	found := false
	err := s.query(ctx, "chat", query, []string{"channel", "rows"}, func(r row) error {
		rows, _ := r.number("rows")
		found = found || inChannel(r, "channel", channel)
		if len(others) < shown {
			others = append(others, fmt.Sprintf("%q (%d lines)", r.text("channel"), rows))
		}
		return nil
	})
	if err != nil || found || len(others) == 0 {
		return err
	}
	return fmt.Errorf("%s has no line of chat of the channel %q: expected one of its channels, which are %s",
		s.Path, channel.Name, strings.Join(others, ", "))
}

// batchWriter stores the rows of a table as they are read, in batches.
type batchWriter struct {
	save  func(ctx context.Context, batch []store.Event) (added int, err error)
	batch []store.Event
}

func (w *batchWriter) add(ctx context.Context, table *Table, event store.Event) error {
	w.batch = append(w.batch, event)
	if len(w.batch) < batchSize {
		return nil
	}
	return w.flush(ctx, table)
}

// flush stores what is left. What is in the database already, or is about somebody who was forgotten, is not added.
func (w *batchWriter) flush(ctx context.Context, table *Table) error {
	if len(w.batch) == 0 {
		return nil
	}
	added, err := w.save(ctx, w.batch)
	if err != nil {
		return err
	}
	table.Imported += added
	table.Existing += len(w.batch) - added
	w.batch = w.batch[:0]
	return nil
}

// plainChat imports lines of chat that are plain text, and counts them for their users.
func (i *importer) plainChat(ctx context.Context) error {
	const name = "chat"
	var previous plainLine
	writer := &batchWriter{save: i.Target.ImportChat}
	own := newStoredLines(i.Target, i.Channel)
	columns := []string{"timestamp", "username", "msg", "channel"}
	table, err := i.read(ctx, name, "1, 2, 3", columns, func(table *Table, r row) error {
		one, problem := i.plainLine(r)
		switch {
		case problem != "":
			table.skip(problem)
			return nil
		case one == previous: // CyTube repeats lines to a bot that joins again
			table.Duplicates++
			return nil
		}
		previous = one
		return i.addPlainLine(ctx, table, one, own, writer)
	})
	if err != nil {
		return err
	}
	return i.wrap(name, writer.flush(ctx, table))
}

// plainLine returns the line of a row, or why it is none.
func (i *importer) plainLine(r row) (one plainLine, problem string) {
	at, problem := r.pastMillis("timestamp")
	if problem != "" {
		return plainLine{}, problem
	}
	one = plainLine{milliseconds: at.UnixMilli(), user: r.text("username"), text: r.text("msg")}
	switch {
	case i.nameProblem(one.user) != "":
		return plainLine{}, i.nameProblem(one.user)
	case one.text == "":
		return plainLine{}, "without a text"
	case !inChannel(r, "channel", i.Channel):
		return plainLine{}, otherChannel
	}
	return one, ""
}

const otherChannel = "of another channel"

// addPlainLine counts a line for its user, and stores it if it is missing and to be kept.
func (i *importer) addPlainLine(
	ctx context.Context, table *Table, one plainLine, own *storedLines, writer *batchWriter,
) error {
	at := one.at()
	person := i.person(one.user)
	person.Username = one.user // lines are in order: the latest spelling wins
	person.Lines++
	person.seen(at, at)
	stored, err := own.has(ctx, one)
	retained := i.retained(table.Name)
	switch {
	case err != nil:
		return err
	case stored:
		table.Existing++
		person.Twice++
		return nil
	case retained.older(at):
		table.skip(retained.olderReason())
		return nil
	}
	return writer.add(ctx, table, i.event(at, store.ChatLine{Username: one.user, Text: one.html()}, 0))
}

// speakers imports users with what their lines say about them.
func (i *importer) speakers(ctx context.Context) error {
	const name = "users"
	retained := i.retained(name)
	_, err := i.read(ctx, name, "", []string{"uname"}, func(table *Table, r row) error {
		username := r.text("uname")
		p := i.people[store.Fold(username)]
		switch {
		case i.nameProblem(username) != "":
			table.skip(i.nameProblem(username))
		case p == nil:
			table.skip("without a line of chat, so it is not known when they were there")
		case retained.older(p.LastSeen):
			table.skip(retained.olderReason())
		default:
			if p.rows++; p.rows > 1 {
				table.Notes["one user under several spellings"]++
			}
			table.Imported++
		}
		return nil
	})
	if err != nil {
		return err
	}
	users := make([]store.ImportedUser, 0, len(i.people))
	for _, p := range i.people {
		if !retained.older(p.LastSeen) {
			users = append(users, p.ImportedUser)
		}
	}
	sortUsers(users)
	return i.wrap(name, i.Target.ImportUsers(ctx, i.Channel, users))
}

// connections imports the samples of the number of connections, and the highest as a record.
func (i *importer) connections(ctx context.Context) error {
	const name = "user_count"
	writer := &batchWriter{save: i.Target.ImportUserCounts}
	retained := i.retained(name)
	most, mostAt := 0, time.Time{}
	table, err := i.read(ctx, name, "1", []string{"timestamp", "count"}, func(table *Table, r row) error {
		at, problem := r.pastMillis("timestamp")
		count, ok := r.number("count")
		switch {
		case problem != "":
			table.skip(problem)
			return nil
		case !ok || count < 0 || count > maxCount:
			table.skip(badNumber)
			return nil
		}
		if int(count) > most {
			most, mostAt = int(count), at
		}
		if retained.older(at) {
			table.skip(retained.olderReason())
			return nil
		}
		return writer.add(ctx, table, i.event(at, store.UserCount{Connected: int(count)}, 0))
	})
	if err != nil {
		return err
	}
	if err := i.wrap(name, writer.flush(ctx, table)); err != nil || most == 0 {
		return err
	}
	return i.apply(ctx, name, []store.Event{i.record(mostAt, store.HighWater{Connected: &most})})
}

// Queued is how often something was queued.
type Queued struct {
	Type  string `json:"type"`
	ID    string `json:"id"`
	Title string `json:"title"`
	Times int    `json:"times"`
}

// maxQueued is the number of items that a summary shows.
const maxQueued = 20

// mostQueued finds what was queued most often.
func (i *importer) mostQueued(ctx context.Context) error {
	query := fmt.Sprintf(`SELECT type, id, times,
  (SELECT title FROM videos v WHERE v.type = most.type AND v.id = most.id AND octet_length(title) < 10000 LIMIT 1), 0
FROM (SELECT type, id, count(*) AS times FROM video_stats WHERE octet_length(type) < 100 AND octet_length(id) < 2000
  GROUP BY type, id ORDER BY times DESC, type, id LIMIT %d) most`, maxQueued)
	return i.Source.query(ctx, "video_stats", query, []string{"type", "id", "times", "title"}, func(r row) error {
		times, _ := r.number("times")
		i.summary.MostQueued = append(i.summary.MostQueued, Queued{
			Type: r.text("type"), ID: r.text("id"), Title: r.text("title"), Times: int(times),
		})
		return nil
	})
}

// remark says what the file does not have.
func (i *importer) remark(context.Context) error {
	i.summary.Remarks = []string{
		"Films: the file does not say when something was queued or played, so no play is imported. How often it was " +
			"queued includes the whole playlist at each start of the bot.",
		"Users: the file does not say when they came and went, so they have lines and the times of these, and no hours. " +
			"Ranks are CyTube's own. Blocks, points and aliases are left out.",
		"User counts: the file has the number of connections alone. The number of named users is 0.",
		"Totals of users replace those of an earlier import into this channel.",
	}
	for _, table := range i.summary.Tables {
		if table.Skipped[otherChannel] > 0 {
			i.summary.Remarks = append(i.summary.Remarks, "Chat is of several channels. User counts do not say of which "+
				"they are, and are imported for this one.")
		}
	}
	return nil
}
