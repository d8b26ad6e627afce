package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// A second service must wait until the channel is assigned to it, and then start without a restart.
func TestChannelIsHandedOverByACommand(t *testing.T) {
	t.Parallel()
	urlFile, nats := pooledURLFile(t), natstest.Start(t)
	configuration := writePostgresConfig(t, nats.URL(), urlFile)
	first := start(t, "db", "--config", configuration, "--prefix", "first", "--name", "fun/first")
	if report := first.waitFor(status.ReasonReady); !cmp.Equal(report.Channels, []string{"https://cytu.be/movies"}) {
		t.Errorf("it serves %v", report.Channels)
	}
	second := start(t, "db", "--config", configuration, "--prefix", "second", "--name", "fun/second")
	report := second.waitFor(status.ReasonChannelOwned)
	for _, want := range []string{"https://cytu.be/movies", "first", "fun/first", "rosey db channel assign"} {
		if !strings.Contains(report.Message, want) {
			t.Errorf("message %q, want %q", report.Message, want)
		}
	}

	list := func() (rows []ownedChannelRow) {
		t.Helper()
		code, stdout, stderr := call(t, "db", "channel", "list", "--config", configuration, "--output", "json")
		if err := json.Unmarshal([]byte(stdout), &rows); code != exit.Clean || err != nil {
			t.Fatalf("exit code %d, %v: %s%s", code, err, stdout, stderr)
		}
		return rows
	}
	row := ownedChannelRow{Server: "https://cytu.be", Channel: "Movies", OwnerPrefix: "first", OwnerName: "fun/first"}
	if diff := cmp.Diff([]ownedChannelRow{row}, list()); diff != "" {
		t.Errorf("channels (-want +got):\n%s", diff)
	}
	code, stdout, stderr := call(t, "db", "channel", "assign", "--config", configuration, "--prefix", "second", "--name",
		"fun/second")
	if code != exit.Clean || !strings.Contains(stdout, "belongs to subject prefix second now; before: first") {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
	row.OwnerPrefix, row.OwnerName = "second", "fun/second"
	if diff := cmp.Diff([]ownedChannelRow{row}, list()); diff != "" {
		t.Errorf("channels after it (-want +got):\n%s", diff)
	}
	second.waitFor(status.ReasonReady)
	first.waitFor(status.ReasonChannelOwned)
	for _, p := range []*roseyProcess{first, second} {
		if code := p.end(syscall.SIGTERM); code != exit.Clean {
			t.Errorf("exit code %d", code)
		}
	}
}

func TestChannelsOfSQLiteHaveNoOwners(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rosey.db")
	p := start(t, "db", "--channel", "movies", "--nats", natstest.Start(t).URL(), "--database", path, "--http",
		"127.0.0.1:0")
	p.waitFor(status.ReasonReady)
	for _, verb := range []string{"list", "assign"} {
		code, _, stderr := call(t, "db", "channel", verb, "--channel", "movies", "--database", path)
		if code == exit.Clean || !strings.Contains(stderr, "expected database.postgres") {
			t.Errorf("%s: exit code %d: %s", verb, code, stderr)
		}
	}
}
