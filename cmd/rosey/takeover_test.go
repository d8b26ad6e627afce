package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// The service reads where its database comes from, and what it is told, while it runs.
func TestServiceReadsWhereItsDatabaseComesFrom(t *testing.T) {
	nats := natstest.Start(t, natstest.JetStream(t))
	dir := t.TempDir()
	file := filepath.Join(dir, "provenance.yaml")
	provenance := func(pvcCreated time.Time, takeOver string) {
		content := fmt.Sprintf("namespaceUID: uid\npvcCreated: %s\nonlyPVC: true\ntakeOver: %q\n",
			pvcCreated.UTC().Format(time.RFC3339), takeOver)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	service := func(database string) *roseyProcess {
		return start(t, "db", "--name", "films/movienight", "--channel", "movies", "--http", "127.0.0.1:0", "--nats",
			nats.URL(), "--database", filepath.Join(dir, database), "--database-provenance-file", file)
	}
	provenance(time.Now().Add(-time.Hour), "")
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
	provenance(time.Now().Add(time.Hour), "")
	says("it is taken over at 2")
	provenance(time.Now().Add(-time.Hour), owner.Database)
	says("it is taken over as soon as no service has consumed it for 15s")
}

// A service that does not know where its database comes from takes over no stream, so the cause is not for debugging
// only.
func TestAProvenanceThatCannotBeReadIsLoggedOnce(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), config.ProvenanceFile)
	var log bytes.Buffer
	c := &component{log: slog.New(slog.NewTextHandler(&log, nil))}
	c.config.Name, c.config.Database.ProvenanceFile = "films/movienight", file
	provenance := c.databaseProvenance()
	for warnings, content := range []string{"", "- no provenance", "namespaceUID: uid", "- no provenance"} {
		if content != "" {
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			got, isRead := provenance(), warnings == 2
			if (got.Unread == nil) != isRead || (got.NamespaceUID == "uid") != isRead {
				t.Errorf("content %q: %+v", content, got)
			}
		}
		want := []int{1, 2, 2, 3}[warnings]
		if n := strings.Count(log.String(), "level=WARN"); n != want {
			t.Errorf("content %q: %d warnings, want %d: %s", content, n, want, log.String())
		}
	}
}
