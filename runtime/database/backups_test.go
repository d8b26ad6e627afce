package database_test

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// backingUp makes a service look every few milliseconds whether a backup is due, and keep two.
func backingUp(dir string) func(*database.ServiceOptions) {
	return func(o *database.ServiceOptions) {
		o.Backup = database.BackupOptions{Directory: dir, Every: 24 * time.Hour, Keep: 2}
		database.WithMaintenanceInterval(&o.EngineOptions, 10*time.Millisecond)
	}
}

func listDir(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// The service makes a backup when one is due, also across restarts, keeps as many as configured, and leaves other files
// alone. A backup contains what was stored.
func TestBackupsAreMadeBesideTheService(t *testing.T) {
	r := newRig(t)
	dir := filepath.Join(t.TempDir(), "backups")
	s := r.ready(r.start())
	r.publishChat("hi")
	r.waitUntilStored()
	r.stop(s)
	s = r.ready(r.start(backingUp(dir)))
	natstest.Eventually(t, "a backup", func() bool { return !s.LastBackup().IsZero() })
	if age := time.Since(s.LastBackup()); age < 0 || age > time.Hour {
		t.Errorf("the last backup is %s old", age)
	}
	runs := r.metric(s, "rosey_database_maintenance_runs_total", "done")
	natstest.Eventually(t, "more maintenance", func() bool {
		return r.metric(s, "rosey_database_maintenance_runs_total", "done") > runs+3
	})
	r.stop(s)
	first := listDir(t, dir)
	if len(first) != 1 {
		t.Fatalf("backups: %v", first)
	}

	// Older ones, one of another database, and what is none.
	prefix := first[0][:len("rosey-12345678-")]
	for _, name := range []string{
		prefix + "20250101T000000Z.db", prefix + "20250102T000000Z.db", "rosey-00000000-20250101T000000Z.db", "rosey-x.db",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	left := filepath.Join(dir, prefix+"20250103T000000Z.db.part-1") // by a process that was killed
	if err := os.WriteFile(left, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s = r.ready(r.start(backingUp(dir)))
	natstest.Eventually(t, "the backup of the last process", func() bool { return !s.LastBackup().IsZero() })
	r.stop(s)
	if made := r.metric(s, "rosey_database_backup_runs_total", "done"); made != 0 {
		t.Errorf("%v backups were made although none was due", made)
	}

	restored := filepath.Join(t.TempDir(), "rosey.db")
	if _, err := sqlite.Restore(t.Context(), filepath.Join(dir, first[0]), restored); err != nil {
		t.Fatal(err)
	}
	opened, err := sqlite.Open(t.Context(), restored)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	if lines, err := opened.RecentChat(t.Context(), movies, 10); err != nil || len(lines) != 1 {
		t.Errorf("the backup has %v, %v", lines, err)
	}

	if err := os.Rename(filepath.Join(dir, first[0]), filepath.Join(dir, prefix+"20250104T000000Z.db")); err != nil {
		t.Fatal(err)
	}
	s = r.ready(r.start(backingUp(dir)))
	natstest.Eventually(t, "a backup that is due", func() bool { return time.Since(s.LastBackup()) < time.Hour })
	r.stop(s)
	want := []string{
		"rosey-00000000-20250101T000000Z.db", prefix + "20250104T000000Z.db",
		prefix + s.LastBackup().Format("20060102T150405Z") + ".db", "rosey-x.db",
	}
	slices.Sort(want)
	if names := listDir(t, dir); !slices.Equal(names, want) {
		t.Errorf("files %v, want %v", names, want)
	}
}

// A backup that fails is counted and tried again, and leaves nothing behind.
func TestBackupsThatFailAreTriedAgain(t *testing.T) {
	r := newRig(t)
	dir := filepath.Join(t.TempDir(), "backups")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file where the directory should be
		t.Fatal(err)
	}
	s := r.ready(r.start(backingUp(dir)))
	natstest.Eventually(t, "failures", func() bool {
		return r.metric(s, "rosey_database_backup_runs_total", "failed") > 1
	})
	if at := r.metric(s, "rosey_database_backup_timestamp_seconds"); at != 0 || !s.LastBackup().IsZero() {
		t.Errorf("a backup of %v although all failed", at)
	}
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "a backup", func() bool { return !s.LastBackup().IsZero() })
	if names := listDir(t, dir); len(names) != 1 {
		t.Errorf("files: %v", names)
	}
	r.stop(s)
}

// A file of the future, and one that cannot be restored, neither keep backups from being made nor displace them.
func TestWhatIsNoBackupDoesNotCount(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	r.stop(r.ready(r.start()))
	opened := r.openReadOnly()
	id, err := opened.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	anHourAgo := time.Now().Add(-time.Hour).UTC().Format("20060102T150405Z")
	for _, at := range []string{"29990101T000000Z", "29990102T000000Z", anHourAgo} {
		if err := os.WriteFile(filepath.Join(dir, "rosey-"+id[:8]+"-"+at+".db"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := r.ready(r.start(backingUp(dir)))
	natstest.Eventually(t, "a backup", func() bool { return r.metric(s, "rosey_database_backup_runs_total", "done") == 1 })
	r.stop(s)
	if names := listDir(t, dir); len(names) != 4 || s.LastBackup().After(time.Now()) {
		t.Errorf("files %v, the last of %s", names, s.LastBackup())
	}
}

// A process that lives for a minute backs up and removes what is no longer retained, in this order; else one that is
// restarted again and again would do neither.
func TestAProcessOfAMinuteBacksUpAndPrunes(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		old := store.Event{ID: "1", Channel: movies, At: time.Now(), Fact: store.ChatLine{Username: "alice", Text: "old"}}
		time.Sleep(151 * time.Hour) // an hour more than the retention
		for _, process := range []struct{ lines, backups int }{{1, 1}, {0, 1}, {0, 2}} {
			var opened *sqlite.Store
			engine := database.NewEngine(database.EngineOptions{
				Channel: movies, Log: slog.New(slog.DiscardHandler),
				Backup: database.BackupOptions{Directory: filepath.Join(dir, "backups"), Every: time.Hour, Keep: 3},
				Open: func(ctx context.Context) (_ store.Store, err error) {
					opened, err = sqlite.Open(ctx, filepath.Join(dir, "rosey.db"))
					return opened, err
				},
			})
			if err := engine.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			if process.lines > 0 {
				if err := opened.Apply(t.Context(), []store.Event{old}); err != nil {
					t.Fatal(err)
				}
			}
			ctx, stop := context.WithTimeout(t.Context(), time.Minute)
			engine.Maintain(ctx)
			stop()
			if lines, err := opened.RecentChat(t.Context(), movies, 10); err != nil || len(lines) != 0 {
				t.Errorf("after the process: %v, %v; want that the old line is removed", lines, err)
			}
			if names := listDir(t, filepath.Join(dir, "backups")); len(names) != process.backups {
				t.Errorf("backups %v, want %d", names, process.backups)
			}
			if err := engine.Close(); err != nil {
				t.Error(err)
			}
			time.Sleep(40 * time.Minute)
		}
	})
	files, err := database.ListBackups(filepath.Join(dir, "backups"))
	if err != nil || len(files) != 2 {
		t.Fatalf("backups: %v, %v", files, err)
	}
	first, err := sqlite.OpenReadOnly(t.Context(), files[0].Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = first.Close() }()
	if lines, err := first.RecentChat(t.Context(), movies, 10); err != nil || len(lines) != 1 {
		t.Errorf("the first backup has %v, %v; want the line that was removed after it", lines, err)
	}
}

// Several databases may share a directory: each counts and removes only its own backups, and leaves a copy that another
// one is making. On a volume with fsGroup the directory is for the group.
func TestTwoDatabasesShareADirectory(t *testing.T) {
	r, volume := newRig(t), t.TempDir()
	other := newRig(t)
	if err := os.Chmod(volume, 0o770|os.ModeSetgid); err != nil { // as Kubernetes does
		t.Fatal(err)
	}
	dir := filepath.Join(volume, "backups[") // which is special in a pattern
	first := r.ready(r.start(backingUp(dir)))
	natstest.Eventually(t, "the first backup", func() bool { return !first.LastBackup().IsZero() })
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o770 || info.Mode()&os.ModeSetgid == 0 {
		t.Errorf("the directory is %v, %v", info.Mode(), err)
	}
	r.stop(first)
	files, err := database.ListBackups(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	part := files[0].Path + ".part-1" // the first one makes a copy
	if err := os.WriteFile(part, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	second := other.ready(other.start(func(o *database.ServiceOptions) {
		backingUp(dir)(o)
		o.Backup.Keep = 1
	}))
	natstest.Eventually(t, "the second one's own backup", func() bool { return !second.LastBackup().IsZero() })
	other.stop(second)
	files, err = database.ListBackups(dir)
	if err != nil || len(files) != 2 || files[0].Database == files[1].Database {
		t.Errorf("files %v, %v; want one of each database", files, err)
	}
	if _, err := os.Stat(part); err != nil {
		t.Errorf("the copy that another service makes: %v", err)
	}
}

// failingBackups is a store whose backups fail after they have copied everything.
type failingBackups struct {
	*sqlite.Store

	attempts *atomic.Int64
}

func (f failingBackups) Backup(context.Context, string) (int64, error) {
	f.attempts.Add(1)
	return 0, errors.New("the copy is damaged")
}

// Copying many gigabytes every few minutes would be a load of its own.
func TestABackupThatFailsAgainIsTriedLessOften(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		var attempts atomic.Int64
		engine := database.NewEngine(database.EngineOptions{
			Channel: movies, Log: slog.New(slog.DiscardHandler),
			Backup: database.BackupOptions{Directory: dir, Every: 24 * time.Hour, Keep: 3},
			Open: func(ctx context.Context) (store.Store, error) {
				opened, err := sqlite.Open(ctx, filepath.Join(dir, "rosey.db"))
				return failingBackups{opened, &attempts}, err
			},
		})
		if err := engine.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 12*time.Hour)
		engine.Maintain(ctx)
		stop()
		if made := attempts.Load(); made < 12 || made > 40 || !engine.LastBackup().IsZero() {
			t.Errorf("%d attempts in twelve hours, the last backup is of %s", made, engine.LastBackup())
		}
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
}
