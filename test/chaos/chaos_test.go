package chaos

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

// settings returns the options of a run; those of `make chaos` replace the defaults.
func settings(t *testing.T, seed uint64, duration time.Duration) Options {
	t.Helper()
	options := Options{Seed: seed, Duration: duration, Say: t.Logf}
	if text := os.Getenv("ROSEY_CHAOS_SEED"); text != "" {
		var err error
		if options.Seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("ROSEY_CHAOS_SEED: %v", err)
		}
	}
	if text := os.Getenv("ROSEY_CHAOS_DURATION"); text != "" {
		var err error
		if options.Duration, err = time.ParseDuration(text); err != nil {
			t.Fatalf("ROSEY_CHAOS_DURATION: %v", err)
		}
	}
	if text := os.Getenv("ROSEY_CHAOS_ONLY"); text != "" {
		for kind := range strings.SplitSeq(text, ",") {
			options.Only = append(options.Only, Kind(strings.TrimSpace(kind)))
		}
	}
	if options.Duration == 0 {
		t.Skip("injects faults for ROSEY_CHAOS_DURATION, which `make chaos` sets")
	}
	return options
}

// play runs a schedule and fails if the database differs from the channel.
func play(t *testing.T, world World, options Options) {
	t.Helper()
	result, err := Run(t.Context(), world, options)
	t.Logf("\n%s", result)
	if err != nil {
		t.Fatal(err)
	}
	if !result.Clean() {
		t.Error("the database differs from the channel")
	}
}

// The smallest set-up: one bot, SQLite, and NATS without JetStream.
func TestOneOfEverything(t *testing.T) {
	options := settings(t, 1, 0)
	play(t, Start(t, Setup{Bots: 1, Databases: 1}), options)
}

// The largest set-up: a standby bot, two database services on PostgreSQL, and events in a stream. `make test` runs it
// for a minute.
func TestTwoOfEverything(t *testing.T) {
	if _, err := pgtest.Programs(); err != nil {
		t.Skip(err)
	}
	var duration time.Duration
	if os.Getenv("ROSEY_E2E") != "" {
		duration = time.Minute
	}
	options := settings(t, 5, duration)
	play(t, Start(t, Setup{Bots: 2, Databases: 2, JetStream: true, Postgres: true}), options)
}

// TestThreeBotsStandBy injects faults into three bots and NATS for twenty seconds: there are never two bots in the
// channel, and nothing is said twice.
func TestThreeBotsStandBy(t *testing.T) {
	play(t, Start(t, Setup{Bots: 3, Databases: 1, JetStream: true}), settings(t, 7, 20*time.Second))
}

// The largest set-up on a local cluster with two real nodes, run by the operator. `make test` runs it for a minute.
func TestOnACluster(t *testing.T) {
	if os.Getenv("ROSEY_E2E") != "local-cluster" {
		t.Skip("needs a local cluster: set ROSEY_E2E to local-cluster")
	}
	options := settings(t, 4, time.Minute)
	world, err := StartCluster(t.Context(), "../..", Build(t).Rosey, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(world.Close)
	play(t, world, options)
}
