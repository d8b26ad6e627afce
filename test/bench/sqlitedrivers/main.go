// Command sqlitedrivers compares SQLite drivers in one run, with the schema, statements and pragmas of
// runtime/store/sqlite and the batches of the database service.
package main

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	_ "github.com/mattn/go-sqlite3"          // "sqlite3": C
	_ "github.com/ncruces/go-sqlite3/driver" // "ncruces", by -ldflags: two drivers cannot have one name
	_ "modernc.org/sqlite"                   // "sqlite": C translated to Go

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/relational"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// driver is a driver to compare.
type driver struct {
	module, name, binary string
	parameters           func(mode string) url.Values
}

// The others are compared with the first.
var drivers = []driver{
	{"modernc.org/sqlite", "sqlite", "static", pragmas},
	{"github.com/ncruces/go-sqlite3", "ncruces", "static", pragmas},
	{"github.com/mattn/go-sqlite3", "sqlite3", "needs C", underscored},
}

// pragmas returns the pragmas of runtime/store/sqlite.
func pragmas(mode string) url.Values {
	parameters := url.Values{"mode": {mode}, "_pragma": {"busy_timeout(5000)", "foreign_keys(1)"}}
	if mode != "ro" {
		parameters["_pragma"] = append(parameters["_pragma"], "journal_mode(WAL)", "synchronous(FULL)")
		parameters.Set("_txlock", "immediate")
	}
	return parameters
}

// underscored returns the same pragmas in mattn's syntax.
func underscored(mode string) url.Values {
	parameters := url.Values{"mode": {mode}, "_busy_timeout": {"5000"}, "_foreign_keys": {"1"}}
	if mode != "ro" {
		parameters.Set("_journal_mode", "WAL")
		parameters.Set("_synchronous", "FULL")
		parameters.Set("_txlock", "immediate")
	}
	return parameters
}

func (d driver) open(path, mode string) (*sql.DB, error) {
	source := (&url.URL{Scheme: "file", Path: path, RawQuery: d.parameters(mode).Encode()}).String()
	db, err := sql.Open(d.name, source)
	if err != nil {
		return nil, fmt.Errorf("opening with %s: %w", d.module, err)
	}
	db.SetMaxOpenConns(1)
	return db, nil
}

// figures are per second of CPU time, so that the disk and other load on the machine do not count.
type figures struct{ lines, single, queries float64 }

func main() {
	rounds := flag.Int("rounds", 5, "number of rounds; the median counts")
	batches := flag.Int("batches", 40, "batches of 500 lines per round")
	flag.Parse()
	if err := run(context.Background(), *rounds, *batches); err != nil {
		fmt.Fprintln(os.Stderr, "sqlitedrivers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, rounds, batches int) error {
	measured := make([][]figures, len(drivers))
	for range rounds {
		// In turn, so that other load on the machine affects all of them.
		for i, driver := range drivers {
			one, err := driver.measure(ctx, batches)
			if err != nil {
				return fmt.Errorf("%s: %w", driver.module, err)
			}
			measured[i] = append(measured[i], one)
		}
	}
	fmt.Println("| driver | binary | lines in batches of 500 | ratio | transactions of one line | ratio |" +
		" queries for 50 lines | ratio |")
	fmt.Println("|---|---|---|---|---|---|---|---|")
	first := median(measured[0])
	for i, driver := range drivers {
		m := median(measured[i])
		fmt.Printf("| %s | %s | %.0f | %.2f | %.0f | %.2f | %.0f | %.2f |\n", driver.module, driver.binary,
			m.lines, m.lines/first.lines, m.single, m.single/first.single, m.queries, m.queries/first.queries)
	}
	return nil
}

func median(all []figures) figures {
	middle := func(of func(figures) float64) float64 {
		sorted := slices.SortedFunc(slices.Values(all), func(a, b figures) int { return cmp.Compare(of(a), of(b)) })
		return of(sorted[len(sorted)/2])
	}
	return figures{
		middle(func(f figures) float64 { return f.lines }),
		middle(func(f figures) float64 { return f.single }),
		middle(func(f figures) float64 { return f.queries }),
	}
}

func (d driver) measure(ctx context.Context, batches int) (f figures, err error) {
	dir, err := os.MkdirTemp(".", "measure-") // not /tmp, which may be memory
	if err != nil {
		return f, fmt.Errorf("creating a directory: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path, err := filepath.Abs(filepath.Join(dir, "rosey.db"))
	if err != nil {
		return f, fmt.Errorf("finding the directory: %w", err)
	}
	write, writeErr := d.open(path, "rwc")
	read, readErr := d.open(path, "ro")
	if err := errors.Join(writeErr, readErr); err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, read.Close(), write.Close()) }()
	s, err := sqlite.On(ctx, write, read)
	if err != nil {
		return f, err
	}
	return f, f.fill(ctx, s, batches)
}

const batchSize = 500

var channel = store.Channel{Server: "https://cytu.be", Name: "movies"}

func (f *figures) fill(ctx context.Context, s relational.Store, batches int) (err error) {
	at := 0
	next := func(count int) (lines []store.Event) {
		for range count {
			at++
			moment := time.UnixMilli(1763700000000 + int64(at)*100).UTC()
			lines = append(lines, store.Event{
				ID:      fmt.Sprintf("%012x-%032x", moment.UnixMilli(), at),
				Channel: channel, At: moment,
				Fact: store.ChatLine{Username: fmt.Sprint("user", at%30), Text: "this is a line of chat of usual length"},
			})
		}
		return lines
	}
	f.lines, err = perSecond(batches, batchSize, func() error { return s.Apply(ctx, next(batchSize)) })
	if err != nil {
		return err
	}
	f.single, err = perSecond(10*batches, 1, func() error { return s.Apply(ctx, next(1)) })
	if err != nil {
		return err
	}
	f.queries, err = perSecond(20*batches, 1, func() error {
		lines, err := s.RecentChat(ctx, channel, 50)
		if err == nil && len(lines) != 50 {
			err = fmt.Errorf("%d lines, expected 50", len(lines))
		}
		return err
	})
	return err
}

func perSecond(times, each int, do func() error) (float64, error) {
	began, err := processorTime()
	if err != nil {
		return 0, err
	}
	for range times {
		if err := do(); err != nil {
			return 0, err
		}
	}
	ended, err := processorTime()
	return float64(times*each) / (ended - began).Seconds(), err
}

// processorTime returns the user and system CPU time of this process.
func processorTime() (time.Duration, error) {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0, fmt.Errorf("reading the CPU time: %w", err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()), nil
}
