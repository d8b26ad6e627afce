package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rosey.dev/rosey/api/v1alpha1"
	"rosey.dev/rosey/controllers/manifests"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// sqliteText begins as an SQLite database does.
var sqliteText = sqliteHeader + strings.Repeat("\x00", sqliteHeaderSize)

// sqliteFile writes a file that begins as an SQLite database does.
func sqliteFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "backup.db")
	writeText(t, path, sqliteText)
	return path
}

// What can be known before is said before the RoseyBot is suspended.
func TestRestoreIsRefusedBeforeAnythingChanges(t *testing.T) {
	needServer(t)
	postgres, sharer, sqlite := newBot("on-postgres"), newBot("sharer"), newBot("on-sqlite")
	postgres.Spec.Database = &v1alpha1.Database{
		Postgres: &v1alpha1.Postgres{URLSecretRef: v1alpha1.SecretKeyRef{Name: "pg", Key: "url"}},
	}
	sharer.Spec.NATS = nil
	sharer.Spec.Database = &v1alpha1.Database{SharedFrom: &v1alpha1.ObjectRef{Name: "on-sqlite"}}
	create(t, postgres, sharer, sqlite)
	backup, text := sqliteFile(t), filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("not a database, but long enough"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ arguments, want string }{
		{"restore on-postgres " + backup, "pg_restore --clean"},
		{"backup on-postgres", "pg_dump --format=custom"},
		{"restore sharer " + backup, "`kubectl rosey restore on-sqlite`"},
		{"backup sharer", "`kubectl rosey backup on-sqlite`"},
		{"restore on-sqlite " + text, "is no SQLite database"},
		{"restore on-sqlite " + text + "-absent", "no such file"},
		{"restore on-sqlite " + backup, "reading Deployment on-sqlite-db"},
	} {
		code, out, stderr := call(t, strings.Fields(test.arguments)...)
		if code != exit.Failure || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: exit code %d, %s%s, want %q", test.arguments, code, out, stderr, test.want)
		}
	}
	desired, err := manifests.Build(sqlite, manifests.Params{Image: "rosey:1"}, manifests.Observed{})
	if err != nil {
		t.Fatal(err)
	}
	for _, next := range desired {
		create(t, next.Object)
	}
	code, _, stderr := callWith(t, streams{in: strings.NewReader("no\n")}, "restore", "on-sqlite", backup)
	if code != exit.Failure || !strings.Contains(stderr, "Type yes to go on: ") ||
		!strings.Contains(stderr, "nothing was changed") {
		t.Errorf("without a yes: exit code %d, %s", code, stderr)
	}
	if err := admin.Get(t.Context(), keyOf(sqlite), sqlite); err != nil || sqlite.Spec.Suspend != nil {
		t.Errorf("it was suspended: %v, %v", sqlite.Spec.Suspend, err)
	}
}

// What is refused in any case is not asked for.
func TestDeadLettersAreNamedBeforeAnythingIsAsked(t *testing.T) {
	t.Parallel()
	for _, arguments := range []string{"drop NAME", "drop NAME 7 --all", "retry NAME", "drop --all"} {
		code, _, stderr := call(t, append([]string{"dead"}, strings.Fields(arguments)...)...)
		if code != exit.Usage || !strings.Contains(stderr, "expected") || strings.Contains(stderr, "Type yes") {
			t.Errorf("%s: exit code %d, %s", arguments, code, stderr)
		}
	}
}

func TestCommandsInPodsSayWhatIsMissing(t *testing.T) {
	needServer(t)
	direct := newBot("direct")
	direct.Spec.Mode, direct.Spec.NATS = v1alpha1.ModeDirect, nil
	create(t, direct, newBot("podless"), newBot("botless"))
	createPod(t, "botless", "botless-db-1", status.DatabaseComponent)
	for _, test := range []struct{ arguments, want string }{
		{"say direct hello", "has mode Direct, and so no NATS"},
		{"say podless hello", "no pod of the bot runs: RoseyBot podless is NotObserved"},
		// The database's NATS user may not do what the bot's may.
		{"say botless hello", "no pod of the bot runs: RoseyBot botless is NotObserved"},
		{"show podless", "no pod of its database runs"},
		{"open podless", "has no web page (spec.web.enabled)"},
		{"logs podless", "has no pods"},
		{"user forget podless alice", "nothing was changed"},
		{"dead drop podless --all", "nothing was changed"},
	} {
		code, out, stderr := call(t, strings.Fields(test.arguments)...)
		if code != exit.Failure || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: exit code %d, %s%s, want %q", test.arguments, code, out, stderr, test.want)
		}
	}
}
