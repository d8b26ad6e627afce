package fuzz

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/store/postgres/pgtest"
	"rosey.dev/rosey/test/chaos"
)

// defaultDuration is how long the client sends unless `make fuzz` says otherwise. The two set-ups share the half minute
// that `make test` has for them; between them, their seeds have nearly all kinds of operations.
const defaultDuration = 15 * time.Second

// The database is an SQLite file.
func TestHostileClientWithSQLite(t *testing.T) {
	fuzz(t, 3, chaos.Setup{Bots: 1, Databases: 1, JetStream: true})
}

// The database is PostgreSQL.
func TestHostileClientWithPostgres(t *testing.T) {
	if _, err := pgtest.Programs(); err != nil {
		t.Skip(err)
	}
	fuzz(t, 4, chaos.Setup{Bots: 1, Databases: 1, JetStream: true, Postgres: true})
}

// fuzz runs the client with a seed, unless `make fuzz` gives another.
func fuzz(t *testing.T, seed uint64, setup chaos.Setup) {
	options := settings(t, seed)
	t.Logf("SEED=%d DURATION=%s", options.Seed, options.Duration)
	options.Limits = map[string]int64{}
	for process, component := range map[string]string{"bot1": "bot", "db1": "database"} {
		limit, err := DefaultLimit(component)
		if err != nil {
			t.Fatal(err)
		}
		options.Limits[process] = limit
	}
	groups, err := NewGroups()
	if err != nil {
		t.Logf("memory limits are measured, and not enforced: %v", err)
	} else {
		options.Groups = groups
		t.Cleanup(func() {
			if err := groups.Close(); err != nil {
				t.Error(err)
			}
		})
		for name, limit := range options.Limits {
			if err := groups.Make(name, limit); err != nil {
				t.Fatal(err)
			}
		}
		setup.Wrapper = groups.Wrap
	}
	setup.LogLevel = "info" // as the operator sets it
	world := chaos.Start(t, setup)
	report, err := Run(t.Context(), world, options)
	t.Logf("\n%s", report)
	if err != nil {
		t.Errorf("%v\nrun it again: make fuzz SEED=%d DURATION=%s DATABASES=%s",
			err, options.Seed, options.Duration, strings.ToLower(strings.TrimPrefix(t.Name(), "TestHostileClientWith")))
	}
}

// settings returns the options of a run; those of `make fuzz` replace the defaults.
func settings(t *testing.T, seed uint64) Options {
	t.Helper()
	options := Options{Seed: seed, Duration: defaultDuration, Say: t.Logf}
	var err error
	if text := os.Getenv("ROSEY_FUZZ_SEED"); text != "" {
		if options.Seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("ROSEY_FUZZ_SEED: %v", err)
		}
	}
	if text := os.Getenv("ROSEY_FUZZ_DURATION"); text != "" {
		if options.Duration, err = time.ParseDuration(text); err != nil {
			t.Fatalf("ROSEY_FUZZ_DURATION: %v", err)
		}
	}
	if text := os.Getenv("ROSEY_FUZZ_ONLY"); text != "" {
		for kind := range strings.SplitSeq(text, ";") {
			options.Only = append(options.Only, Kind(strings.TrimSpace(kind)))
		}
	}
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	return options
}
