package legacy

import (
	"context"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// sameLine is how far apart the times may be that both programs give a line of chat: the Python bot
// takes the moment when it stores the line, we take CyTube's.
const sameLine = 5 * time.Second

// chat takes the lines. The Python bot handles each event twice and stores each line twice in a row;
// CyTube lets nobody say the same thing twice in a second, so the second row is a mistake.
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
				table.leave(noName)
				return nil
			case !ok:
				table.leave(badTime)
				return nil
			case now == last:
				table.Corrected++
				i.person(now.user).repeated++
				return nil
			}
			if inSecond++; now.second != last.second {
				inSecond = 0
			}
			last = now
			i.person(now.user).line(at)
			if own.take(now) {
				table.Here++
				i.person(now.user).twice++
				return nil
			}
			// Milliseconds keep the lines of a second in their order.
			at = at.Add(time.Duration(min(inSecond, 999)) * time.Millisecond)
			events = append(events, i.event(at, store.ChatLine{Username: now.user, Text: now.text}, inSecond))
			return nil
		})
	if err != nil {
		return err
	}
	err = i.store(name, events, func(batch []store.Event) error {
		added, err := i.Target.ImportChat(ctx, batch)
		table.Taken += added
		return err
	})
	table.Here += len(events) - table.Taken
	return err
}

type line struct {
	second     int64
	user, text string
}

// ownLines are the lines of our own bot, which was in the channel too for a while or was told CyTube's
// last lines when it came.
type ownLines map[line][]time.Time

func (i *importer) ownLines(ctx context.Context) (ownLines, error) {
	lines, err := i.Target.ChatBeside(ctx, i.Channel, marker)
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

// take uses up the earliest line of ours that is the same. Lines come in the order of their times.
func (o ownLines) take(theirs line) bool {
	key := line{user: store.Fold(theirs.user), text: theirs.text}
	at := time.Unix(theirs.second, 0)
	for len(o[key]) > 0 && o[key][0].Before(at.Add(-sameLine)) {
		o[key] = o[key][1:]
	}
	if len(o[key]) == 0 || o[key][0].After(at.Add(sameLine)) {
		return false
	}
	o[key] = o[key][1:]
	return true
}
