package database

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

const (
	// maxPeopleItems and maxPeopleBytes bound the items of a bus.PeopleExportReply.
	maxPeopleItems = 500
	maxPeopleBytes = 256 << 10
	// deadLetterPage is how many dead letters are read at a time, each with up to store.MaxDeadLetterBytes.
	deadLetterPage = 100
	// deadLetterCursor is what a cursor of dead letters begins with. That of rows begins with the number of their table.
	deadLetterCursor = "dead"
	// maxListedBackups bounds bus.PeopleForgetReply.Backups.
	maxListedBackups = 100
	// maxWaitingPeople bounds the requests about people that are answered or wait for their turn.
	maxWaitingPeople = 16
)

// people is the state of the requests about people.
type people struct {
	running chan struct{} // has a token while one is answered
	waiting atomic.Int32  // those that are answered or wait
}

var errManyPeople = errors.New("too many requests about people wait: expected one at a time")

// aboutPerson returns a handler that answers one request at a time, since each may read all lines of a channel. Nobody
// waits for longer than bus.PeopleTimeout. A transport calls it in a goroutine of its own.
func aboutPerson(answer handler) handler {
	return func(e *Engine, ctx context.Context, r Request) (any, error) {
		defer e.people.waiting.Add(-1)
		if e.people.waiting.Add(1) > maxWaitingPeople {
			return refusal(r.Suffix, errManyPeople), nil
		}
		waiting, cancel := context.WithTimeout(ctx, bus.PeopleTimeout)
		defer cancel()
		if !take(waiting, e.people.running) {
			return refusal(r.Suffix, errManyPeople), nil
		}
		defer func() { <-e.people.running }()
		// It reads as a search does, and one of the store's connections is left to the bot's requests.
		end, ok := e.queries.begin(waiting, readsMuch)
		if !ok {
			return refusal(r.Suffix, errManyPeople), nil
		}
		defer end()
		return answer(e, ctx, r)
	}
}

// take takes a token. It reports whether it has one before ctx ends.
func take(ctx context.Context, tokens chan struct{}) bool {
	select {
	case tokens <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

// personRequest is a request about a user of a channel.
type personRequest struct {
	name    string
	channel store.Channel
	cursor  string
}

// decodePerson decodes a bus.PeopleExportRequest or a bus.PeopleForgetRequest.
func (e *Engine) decodePerson(r Request) (person personRequest, err error) {
	request, err := decodeObject[struct {
		Username text   `json:"username"`
		Cursor   string `json:"cursor"`
		origin
	}](r.Data)
	if err == nil && request.Username == "" {
		err = fmt.Errorf("%w: username: expected a name", errInvalid)
	}
	if err == nil {
		err = e.limits.checkUser(string(request.Username))
	}
	if err == nil {
		person.channel, err = e.decoder.channel(request.origin)
	}
	person.name, person.cursor = string(request.Username), request.Cursor
	return person, err
}

// peopleExport answers bus.PeopleExport.
func (e *Engine) peopleExport(ctx context.Context, r Request) (any, error) {
	person, err := e.decodePerson(r)
	if err != nil {
		return bus.PeopleExportReply{Error: err.Error()}, err
	}
	table, key, _ := strings.Cut(person.cursor, ":")
	number, numberErr := strconv.Atoi(table)
	var reply bus.PeopleExportReply
	switch {
	case table == deadLetterCursor:
		reply, err = e.exportDeadLetters(ctx, person, key)
	case person.cursor != "" && (numberErr != nil || number < 0 || len(key) > maxIDBytes):
		err = fmt.Errorf("%w: cursor: expected the next of an earlier reply", errInvalid)
	default:
		reply, err = e.exportRows(ctx, person, store.PersonPosition{Table: number, Key: key})
	}
	switch {
	case errors.Is(err, errInvalid), errors.Is(err, strconv.ErrSyntax), errors.Is(err, strconv.ErrRange):
		err = fmt.Errorf("%w: cursor: expected the next of an earlier reply", errInvalid)
		return bus.PeopleExportReply{Error: err.Error()}, err
	case err != nil:
		return bus.PeopleExportReply{Error: errUnavailable}, fmt.Errorf("reading what is stored about a person: %w", err)
	}
	reply.Success = true
	return reply, nil
}

// exportRows returns the rows behind a position.
func (e *Engine) exportRows(
	ctx context.Context, person personRequest, after store.PersonPosition,
) (reply bus.PeopleExportReply, err error) {
	rows, err := e.store.PersonRows(ctx, person.channel, person.name, after, maxPeopleItems)
	if err != nil {
		return reply, err
	}
	reply.Items, reply.Next = []bus.PeopleItem{}, deadLetterCursor+":0"
	size := 0
	for _, row := range rows {
		item, err := peopleItem(bus.PeopleKind(row.Kind), row.At.UnixMilli(), row.Columns)
		if err != nil {
			return reply, err
		}
		if size += len(item.Content); size > maxPeopleBytes && len(reply.Items) > 0 {
			return reply, nil
		}
		reply.Items = append(reply.Items, item)
		reply.Next = fmt.Sprintf("%d:%s", row.Table, row.Key)
	}
	if len(rows) < maxPeopleItems {
		reply.Next = deadLetterCursor + ":0"
	}
	return reply, nil
}

func peopleItem(kind bus.PeopleKind, at int64, content any) (bus.PeopleItem, error) {
	data, err := bus.Encode(content)
	if err != nil {
		return bus.PeopleItem{}, fmt.Errorf("encoding a row: %w", err)
	}
	return bus.PeopleItem{Kind: kind, At: at, Content: data}, nil
}

// exportDeadLetters returns the dead letters behind an ID that name a user, of one page of all of them.
func (e *Engine) exportDeadLetters(
	ctx context.Context, person personRequest, after string,
) (reply bus.PeopleExportReply, err error) {
	last, err := strconv.ParseInt(after, 10, 64)
	if err != nil {
		return reply, fmt.Errorf("reading the ID of a dead letter: %w", err)
	}
	deadLetters, err := e.store.DeadLetters(ctx, e.channels.service.Prefix, last, deadLetterPage)
	if err != nil {
		return reply, err
	}
	reply.Items = []bus.PeopleItem{}
	size := 0
	for _, deadLetter := range deadLetters {
		reply.Next = fmt.Sprintf("%s:%d", deadLetterCursor, deadLetter.ID)
		if !e.isNamedIn(deadLetter.Payload, person) {
			continue
		}
		item, err := peopleItem(bus.PeopleDeadLetter, deadLetter.At.UnixMilli(), clientDeadLetter(deadLetter))
		if err != nil {
			return reply, err
		}
		reply.Items = append(reply.Items, item)
		if size += len(item.Content); size > maxPeopleBytes/2 {
			return reply, nil // each has at most as much again
		}
	}
	if len(deadLetters) < deadLetterPage {
		reply.Next = ""
	}
	return reply, nil
}

// namingFields are the fields of events in which a user is named.
var namingFields = []string{"username", "user", "queued_by", "asker"}

// isNamedIn reports whether a message is about a user of a channel. One that cannot be decoded belongs to no channel;
// it is about everybody whose name is in it.
func (e *Engine) isNamedIn(payload []byte, person personRequest) bool {
	var fields map[string]any
	var of origin
	if json.Unmarshal(payload, &fields) != nil || json.Unmarshal(payload, &of) != nil {
		return hasName(store.Fold(string(payload)), store.Fold(person.name))
	}
	channel, err := e.decoder.channel(of) // as that of an event
	if err != nil || channel.Fold() != person.channel.Fold() {
		return false
	}
	return slices.ContainsFunc(namingFields, func(field string) bool {
		name, _ := fields[field].(string)
		return store.Fold(name) == store.Fold(person.name)
	})
}

// hasName reports whether a text has a name as a word, both folded: a short name is a part of many words.
func hasName(text, name string) bool {
	const inNames = "abcdefghijklmnopqrstuvwxyz0123456789_-" // what names on CyTube consist of
	isPart := func(at int) bool { return at >= 0 && at < len(text) && strings.IndexByte(inNames, text[at]) >= 0 }
	for from := 0; ; from++ {
		found := strings.Index(text[from:], name)
		if found < 0 {
			return false
		}
		if from += found; !isPart(from-1) && !isPart(from+len(name)) {
			return true
		}
	}
}

// peopleForget answers bus.PeopleForget.
func (e *Engine) peopleForget(ctx context.Context, r Request) (any, error) {
	person, err := e.decodePerson(r)
	if err != nil {
		return bus.PeopleForgetReply{Error: err.Error()}, err
	}
	// The time of an event may be ahead of its arrival.
	until := r.Time.Add(maxSkew)
	removed, err := e.store.ForgetPerson(ctx, person.channel, person.name, until)
	e.queries.times.forget()
	reply := bus.PeopleForgetReply{Removed: map[bus.PeopleKind]int64{}, Until: until.UnixMilli()}
	for kind, count := range removed {
		reply.Removed[bus.PeopleKind(kind)] = count
	}
	if err == nil {
		reply.Removed[bus.PeopleDeadLetter], err = e.forgetDeadLetters(ctx, person)
	}
	if err != nil {
		reply.Error = errUnavailable
		return reply, fmt.Errorf("forgetting a person: %w", err)
	}
	if reply.Backups, err = e.listedBackups(ctx); err != nil {
		e.log.WarnContext(ctx, "[DB] cannot list the backups that still have a person who was forgotten", "error", err)
		reply.Backups = []string{"the backups could not be listed: the log of the database service has the cause"}
	}
	reply.Success = true
	return reply, nil
}

// forgetDeadLetters removes the dead letters that name a user.
func (e *Engine) forgetDeadLetters(ctx context.Context, person personRequest) (removed int64, err error) {
	for last := int64(0); ; {
		deadLetters, err := e.store.DeadLetters(ctx, e.channels.service.Prefix, last, deadLetterPage)
		if err != nil {
			return removed, err
		}
		for _, deadLetter := range deadLetters {
			last = deadLetter.ID
			if !e.isNamedIn(deadLetter.Payload, person) {
				continue
			}
			existed, err := e.store.DropDeadLetter(ctx, deadLetter.ID)
			if err != nil {
				return removed, err
			}
			if existed {
				removed++
			}
		}
		if len(deadLetters) < deadLetterPage {
			return removed, nil
		}
	}
}

// listedBackups returns the names of the backups of the database, the newest first.
func (e *Engine) listedBackups(ctx context.Context) (names []string, err error) {
	if e.backups.Directory == "" {
		return nil, nil
	}
	id, err := e.store.Identity(ctx)
	if err != nil {
		return nil, err
	}
	files, err := ListBackups(e.backups.Directory)
	if err != nil {
		return nil, err
	}
	for _, file := range slices.Backward(files) {
		if file.Database == BackupID(id) && len(names) < maxListedBackups {
			names = append(names, filepath.Base(file.Path))
		}
	}
	return names, nil
}
