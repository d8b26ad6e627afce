package legacy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/store"
)

// marker is in the ids of all events that an import makes.
const marker = "-python-"

// batchSize is how many rows share a transaction.
const batchSize = 2000

// Reasons for which rows are left in more than one table.
const (
	noName  = "without a user's name"
	badTime = "with a time that is none, or in the future"
	badRow  = "with a number that is none, or below 0"
)

// Options say what Import works with. All but Progress are required.
type Options struct {
	Source  *Source
	Target  store.Importer
	Channel store.Channel
	// Progress is told how many rows of a table were read so far. Nil: nobody is.
	Progress func(table string, done, rows int)
}

// Import takes a source over. It can be ended at any time and done again: what was taken stays and is
// not taken twice.
func Import(ctx context.Context, o Options) (Summary, error) {
	i := &importer{Options: o, people: map[string]*person{}, summary: Summary{Generation: o.Source.Generation}}
	for _, step := range []func(context.Context) error{
		// Chat first: of the totals it tells what is counted twice.
		i.chat, i.users, i.maxima, i.samples, i.actions, i.outbound, i.keyValue, i.rest,
	} {
		if err := step(ctx); err != nil {
			return i.summary, err
		}
	}
	return i.summary, nil
}

type importer struct {
	Options

	summary Summary
	// people by their folded names.
	people map[string]*person
}

// read hands the rows of a table to do, with progress.
func (i *importer) read(
	ctx context.Context, name, order string, columns []string, do func(*Table, row) error,
) (*Table, error) {
	rows, err := i.Source.count(ctx, name)
	if err != nil {
		return nil, err
	}
	table, done := i.summary.table(name, rows), 0
	err = i.Source.each(ctx, name, order, columns, func(r row) error {
		if done++; i.Progress != nil && done%batchSize == 0 {
			i.Progress(name, done, rows)
		}
		return do(table, r)
	})
	return table, err
}

// store stores in batches what a table became. Its errors name file and table.
func (i *importer) store(table string, events []store.Event, save func(batch []store.Event) error) error {
	for batch := range slices.Chunk(events, batchSize) {
		if err := save(batch); err != nil {
			return fmt.Errorf("storing what is in %s, table %s: %w", i.Source.Path, table, err)
		}
	}
	return nil
}

// event makes an event with an id from its content, so that the same row is the same event each time.
// Events of one time differ by number, where rows with the same content are not the same thing.
func (i *importer) event(at time.Time, fact store.Fact, number int) store.Event {
	key := i.Channel.Fold()
	hash := sha256.New()
	content := fmt.Sprintf("%q %q %T %+q %d", key.Server, key.Name, fact, fmt.Sprintf("%+v", fact), number)
	_, _ = hash.Write([]byte(content)) // a hash never fails
	id := fmt.Sprintf("%012x%s%s", at.UnixMilli(), marker, hex.EncodeToString(hash.Sum(nil)[:16]))
	return store.Event{ID: id, Channel: i.Channel, At: at, Fact: fact}
}
