package legacy

import (
	"context"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// maxTimeDifference is the largest difference between the times of one line in both databases: the Python bot records
// when it stored the line, this one CyTube's time.
const maxTimeDifference = 5 * time.Second

// chat imports the lines of chat. Those that the Python bot stored twice are imported once; see copiesPerLine.
func (i *importer) chat(ctx context.Context) error {
	const name = "recent_chat"
	own, err := i.ownLines(ctx)
	if err != nil {
		return err
	}
	var rows []chatRow
	table, err := i.read(ctx, name, "id", []string{"timestamp", "username", "message"}, func(table *Table, r row) error {
		at, ok := r.past("timestamp")
		now := line{at.Unix(), r.text("username"), r.text("message")}
		if problem := i.nameProblem(now.user); problem != "" {
			table.skip(problem)
			return nil
		}
		rows = append(rows, chatRow{now, ok})
		return nil
	})
	if err != nil {
		return err
	}
	lines, oldestTwice := linesOf(rows)
	i.oldestTwice = oldestTwice
	earlier, err := i.importedBefore(ctx, lines)
	if err != nil {
		return err
	}
	var events []store.Event
	retained, inSecond := i.retained(name), map[int64]int{}
	for _, one := range lines {
		if !one.timed {
			table.Skipped[badTime] += one.rows
			continue
		}
		table.Duplicates += one.rows - 1
		at := time.Unix(one.second, 0).UTC()
		person := i.person(one.user)
		person.addLine(at, one.counted())
		switch {
		case own.remove(one.line):
			table.Existing++
			person.heardByBoth++
		case one.incomplete && earlier.remove(one.line):
			table.Existing++
		case retained.older(at):
			table.skip(retained.olderReason())
		default:
			events = append(events, i.chatEvent(at, one, inSecond))
		}
	}
	err = i.store(name, events, func(batch []store.Event) error {
		added, err := i.Target.ImportChat(ctx, batch)
		table.Imported += added
		return err
	})
	table.Existing += len(events) - table.Imported
	return err
}

// chatEvent returns the event of a line. Milliseconds, which the Python bot does not store, keep the lines of a second
// in order. An incomplete line is not among those that were counted when its second was imported earlier.
func (i *importer) chatEvent(at time.Time, one pythonLine, inSecond map[int64]int) store.Event {
	number := -1
	if !one.incomplete {
		number = inSecond[one.second]
		inSecond[one.second]++
	}
	at = at.Add(time.Duration(min(max(number, 0), 999)) * time.Millisecond)
	return i.event(at, store.ChatLine{Username: one.user, Text: one.text}, number)
}

type line struct {
	second     int64
	user, text string
}

func (l line) sameText(other line) bool { return l.user == other.user && l.text == other.text }

// ownLines are the times of the lines that this program's bot stored, by user and text: it was in the channel at the
// same time, or CyTube repeated its last lines when it joined.
type ownLines map[line][]time.Time

func (i *importer) ownLines(ctx context.Context) (ownLines, error) {
	lines, err := i.Target.ChatWithout(ctx, i.Channel, pythonMarker, cytubeBotMarker)
	if err != nil {
		return nil, err
	}
	return newOwnLines(lines), nil
}

func newOwnLines(lines []store.RecentLine) ownLines {
	own := ownLines{}
	for _, one := range lines {
		key := line{user: store.Fold(one.Username), text: one.Text}
		own[key] = append(own[key], one.At)
	}
	return own
}

// importedBefore returns the lines that the database has, if one of the file's lines has lost the row with its time: an
// earlier import may have stored it with that time.
func (i *importer) importedBefore(ctx context.Context, lines []pythonLine) (ownLines, error) {
	if !slices.ContainsFunc(lines, func(one pythonLine) bool { return one.incomplete }) {
		return ownLines{}, nil
	}
	stored, err := i.Target.RecentChat(ctx, i.Channel, unlimited)
	if err != nil {
		return nil, err
	}
	// Not the same second: without an earlier import this line itself is there.
	return newOwnLines(slices.DeleteFunc(stored, func(one store.RecentLine) bool {
		return one.At.Unix() >= lines[0].second
	})), nil
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
