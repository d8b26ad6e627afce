package legacy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/store"
)

// Each of these is part of the IDs of all events that an import of files of a bot creates.
const (
	pythonMarker    = "-python-"
	cytubeBotMarker = "-cytubebot-"
)

// batchSize is the number of rows in one transaction.
const batchSize = 2000

// Reasons for skipping rows that several tables have.
const (
	noName    = "without a user name"
	longName  = "with a user name that is too long" // it would be refused everywhere else
	badTime   = "with an invalid time, or one in the future"
	badNumber = "with an invalid, negative or impossible number"
	tooLong   = "with a text of more than 64 KiB"
)

// nameProblem returns why a user of a name is not stored. Empty: there is no reason.
func (i *importer) nameProblem(name string) string {
	switch {
	case name == "":
		return noName
	case len(name) > i.Limits.WithDefaults().NameBytes:
		return longName
	}
	return ""
}

// Options are what Import needs. Retained, Limits and Progress may be absent.
type Options struct {
	Source  *Source
	Target  store.Importer
	Channel store.Channel
	// Retained are the retentions of tables, by Source.Retained: rows that are older are skipped. Lines of chat that are
	// skipped are counted for their users nevertheless. A table without an entry is kept forever.
	Retained []*Retained
	// Limits are those of the database service: a row with a name that it would refuse is skipped.
	Limits config.Limits
	// Progress is called with the number of rows of a table that were read so far. Nil: not called.
	Progress func(table string, done, rows int)
}

// Import imports the rows of a source. It can be interrupted and repeated: rows that were imported stay, and are not
// imported again.
func Import(ctx context.Context, o Options) (Summary, error) {
	i := &importer{
		Options: o, people: map[string]*person{}, summary: Summary{Program: o.Source.Program, Retained: o.Retained},
		marker: pythonMarker,
	}
	// Chat first: it shows how often lines were counted in the totals of users.
	steps := []func(context.Context) error{
		i.chat, i.users, i.records, i.userCounts, i.actions, i.outbound, i.keyValue, i.otherTables,
	}
	if o.Source.Program.isCytubeBot() {
		i.marker = cytubeBotMarker
		steps = []func(context.Context) error{
			i.plainChat, i.speakers, i.connections, i.mostQueued, i.otherTables, i.remark,
		}
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return i.summary, err
		}
	}
	return i.summary, nil
}

type importer struct {
	Options

	summary Summary
	marker  string
	// people are all users, by their folded names.
	people map[string]*person
	// oldestTwice reports whether the oldest lines of chat in the file were stored twice.
	oldestTwice bool
}

// read calls do for all rows of a table, and reports progress.
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
		if r.isLong {
			table.skip(tooLong)
			return nil
		}
		return do(table, r)
	})
	return table, err
}

// store saves the events of a table in batches. Its errors name file and table.
func (i *importer) store(table string, events []store.Event, save func(batch []store.Event) error) error {
	for batch := range slices.Chunk(events, batchSize) {
		if err := i.wrap(table, save(batch)); err != nil {
			return err
		}
	}
	return nil
}

// wrap returns the error of storing rows of a table, with file and table.
func (i *importer) wrap(table string, err error) error {
	if err != nil {
		return fmt.Errorf("importing %s, table %s: %w", i.Source.Path, table, err)
	}
	return nil
}

// retained returns the retention of a table.
func (i *importer) retained(table string) *Retained {
	for _, one := range i.Retained {
		if one.Table == table {
			return one
		}
	}
	return &Retained{}
}

// event returns an event whose id is derived from its content, so that the same row is the same event in each import.
// number distinguishes events of one time whose rows have the same content and yet are not the same.
func (i *importer) event(at time.Time, fact store.Fact, number int) store.Event {
	key := i.Channel.Fold()
	hash := sha256.New()
	content := fmt.Sprintf("%q %q %T %+q %d", key.Server, key.Name, fact, fmt.Sprintf("%+v", fact), number)
	_, _ = hash.Write([]byte(content)) // never fails
	id := fmt.Sprintf("%012x%s%s", at.UnixMilli(), i.marker, hex.EncodeToString(hash.Sum(nil)[:16]))
	return store.Event{ID: id, Channel: i.Channel, At: at, Fact: fact}
}

// Summary accounts for the rows of a source.
type Summary struct {
	Program Program  `json:"program"`
	Tables  []*Table `json:"tables"`
	// Retained says how long the rows will be kept.
	Retained []*Retained `json:"retained,omitempty"`
	// MostQueued is what was queued most often, where nobody recorded when.
	MostQueued []Queued `json:"mostQueued,omitempty"`
	// Remarks say in sentences what the file does not have.
	Remarks []string `json:"remarks,omitempty"`
}

// Table accounts for the rows of one table. Each row counts as one of Imported, Existing, Duplicates and Skipped.
type Table struct {
	Name string `json:"table"`
	Rows int    `json:"rows"`
	// Imported rows are new in the database, or replace those of an earlier import.
	Imported int `json:"imported"`
	// Existing rows were in the database already.
	Existing int `json:"existing"`
	// Duplicates are rows that the other bot stored twice.
	Duplicates int `json:"duplicates"`
	// Skipped is the number of rows that were not imported, by reason.
	Skipped map[string]int `json:"skipped"`
	// Notes is the number of corrections in rows that were imported, by kind.
	Notes map[string]int `json:"notes"`
}

func (t *Table) skip(reason string) { t.Skipped[reason]++ }

// olderReason is the reason for skipping rows that are older than what is kept.
func (t *Retained) olderReason() string {
	return fmt.Sprintf("older than %s, which is %s", t.Key, t.Kept)
}

func (s *Summary) table(name string, rows int) *Table {
	table := &Table{Name: name, Rows: rows, Skipped: map[string]int{}, Notes: map[string]int{}}
	s.Tables = append(s.Tables, table)
	return table
}
