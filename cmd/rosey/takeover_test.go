package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/status"
)

// The service reads where its database comes from, and what it is told, while it runs.
func TestServiceReadsWhereItsDatabaseComesFrom(t *testing.T) {
	nats := natstest.Start(t, natstest.JetStream(t))
	dir := t.TempDir()
	file := filepath.Join(dir, "origin.yaml")
	origin := func(claimCreated time.Time, takeOver string) {
		content := fmt.Sprintf("namespaceUID: uid\nclaimCreated: %s\nonlyClaim: true\ntakeOver: %q\n",
			claimCreated.UTC().Format(time.RFC3339), takeOver)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	service := func(database string) *roseyProcess {
		return start(t, "db", "--name", "films/movienight", "--channel", "movies", "--http", "127.0.0.1:0", "--nats",
			nats.URL(), "--database", filepath.Join(dir, database), "--database-origin-file", file)
	}
	origin(time.Now().Add(-time.Hour), "")
	first := service("first.db")
	first.waitFor(status.ReasonReady)
	first.end(os.Interrupt)
	owner := listNATS(t, "--nats", nats.URL())["stream rosey_events"]
	if owner.RoseyBot != "films/movienight" || owner.Database == "" {
		t.Errorf("%+v", owner)
	}

	second := service("second.db")
	says := func(words string) {
		t.Helper()
		natstest.Eventually(t, "the conflict to say "+words, func() bool {
			report := second.report()
			return report.Reason == status.ReasonSubjectConflict && strings.Contains(report.Message, words)
		})
	}
	says("kubectl annotate -n films roseybot movienight --overwrite rosey.dev/take-over=" + owner.Database)
	origin(time.Now().Add(time.Hour), "")
	says("it is taken over at 2")
	origin(time.Now().Add(-time.Hour), owner.Database)
	says("it is taken over as soon as no service has consumed it for 15s")
}
