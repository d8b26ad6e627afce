package sqlite

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/relational"
)

func chatTexts(t *testing.T, path string) (texts []string) {
	t.Helper()
	s, err := OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, s)
	lines, err := s.RecentChat(t.Context(), line.Channel, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range lines {
		texts = append(texts, one.Text)
	}
	return texts
}

func applyLine(t *testing.T, s *Store, text string) {
	t.Helper()
	event := line
	event.ID, event.Fact = text, store.ChatLine{Username: "alice", Text: text}
	if err := s.Apply(t.Context(), []store.Event{event}); err != nil {
		t.Fatal(err)
	}
}

func TestBackupAndRestore(t *testing.T) {
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "rosey.db"), filepath.Join(dir, "backup.db")
	s := mustOpen(t, path)
	applyLine(t, s, "before")
	size, err := Backup(t.Context(), path, backup)
	if err != nil || size == 0 {
		t.Fatalf("backup of %d bytes, %v", size, err)
	}
	applyLine(t, s, "later")
	if info, err := os.Stat(backup); err != nil || info.Mode().Perm() != 0o600 || info.Size() != size {
		t.Errorf("the backup: %v, %v; want %d bytes for its owner alone", info, err, size)
	}
	if _, err := Backup(t.Context(), path, backup); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("backup to an existing file: %v", err)
	}
	_, err = Restore(t.Context(), backup, path)
	if err == nil || !strings.Contains(err.Error(), "open in another process") {
		t.Errorf("restore beside the service: %v, want the error of the lock", err)
	}
	mustClose(t, s)
	kept, err := Restore(t.Context(), backup, path)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(chatTexts(t, path)); got != "[before]" {
		t.Errorf("after the restore: %s", got)
	}
	if got := fmt.Sprint(chatTexts(t, kept.Replaced)); got != "[before later]" {
		t.Errorf("the replaced database: %s", got)
	}
	mustClose(t, mustOpen(t, path))
	left, err := filepath.Glob(filepath.Join(dir, "*part*"))
	if err != nil || len(left) > 0 {
		t.Errorf("unfinished copies are left: %v, %v", left, err)
	}
}

// A service that was killed leaves its last rows in the write-ahead log.
func TestRestoreWithWriteAheadLog(t *testing.T) {
	dir := t.TempDir()
	path, backup, dead := filepath.Join(dir, "rosey.db"), filepath.Join(dir, "b.db"), filepath.Join(dir, "dead.db")
	s := mustOpen(t, path)
	applyLine(t, s, "before")
	if _, err := Backup(t.Context(), path, backup); err != nil {
		t.Fatal(err)
	}
	applyLine(t, s, "in the log")
	for _, suffix := range []string{"", "-wal"} {
		content, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(dead+suffix, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	mustClose(t, s)
	kept, err := Restore(t.Context(), backup, dead)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(chatTexts(t, dead)); got != "[before]" {
		t.Errorf("after the restore: %s", got)
	}
	if got := fmt.Sprint(chatTexts(t, kept.Replaced)); got != "[before in the log]" {
		t.Errorf("the replaced database: %s", got)
	}
}

func TestRestoreRefusesInvalidBackups(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rosey.db")
	s := mustOpen(t, path)
	applyLine(t, s, "here")
	mustClose(t, s)
	blocked, newer := filepath.Join(dir, "blocked.db"), filepath.Join(dir, "newer.db")
	createVersion(t, blocked, 1)
	execute(t, blocked, "CREATE TABLE kv (somebody_elses TEXT)") // a migration fails
	mustClose(t, mustOpen(t, newer))
	execute(t, newer, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (999, 1)")
	text, foreign := filepath.Join(dir, "text.db"), filepath.Join(dir, "foreign.db")
	if err := os.WriteFile(text, []byte("no database at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	execute(t, foreign, "CREATE TABLE user_stats (username TEXT)")
	for backup, want := range map[string]string{
		blocked:                         "kv",
		newer:                           "version 999",
		text:                            "not a database",
		foreign:                         "not one of this program",
		filepath.Join(dir, "absent.db"): "no such file",
		path:                            "expected another file",
	} {
		if _, err := Restore(t.Context(), backup, path); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), backup) {
			t.Errorf("restore of %s: %v, want %q", backup, err, want)
		}
	}
	if got := fmt.Sprint(chatTexts(t, path)); got != "[here]" {
		t.Errorf("after refused restores: %s", got)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*part*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A backup that an earlier program has made is what an upgrade that went wrong needs.
func TestRestoreOfAnOlderSchema(t *testing.T) {
	for _, version := range []int64{1, 6, 10} {
		t.Run(fmt.Sprint(version), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path, older, backup := filepath.Join(dir, "rosey.db"), filepath.Join(dir, "older.db"), filepath.Join(dir, "b.db")
			createVersion(t, older, version)
			execute(t, older, rowsOfVersion1)
			// As before an upgrade: with the new program.
			if _, err := Backup(t.Context(), older, backup); err != nil {
				t.Fatal(err)
			}
			mustClose(t, mustOpen(t, path))
			newest, err := relational.NewestSchema(migrations)
			if err != nil {
				t.Fatal(err)
			}
			done, err := Restore(t.Context(), backup, path)
			if err != nil || done.Schema != version || done.Migrated != newest || done.Replaced == "" {
				t.Fatalf("restored: %+v, %v", done, err)
			}
			// For reading the schema must be up to date already.
			if got := fmt.Sprint(chatTexts(t, path)); got != "[hi]" {
				t.Errorf("chat after the restore: %s", got)
			}
			s := mustOpen(t, path)
			applyLine(t, s, "later")
			mustClose(t, s)
			if got := fmt.Sprint(chatTexts(t, path)); got != "[hi later]" {
				t.Errorf("chat of the service: %s", got)
			}
			if now, _, err := checkBackup(t.Context(), backup, true); err != nil || now != version {
				t.Errorf("the backup itself has version %d now, %v", now, err)
			}
			if left, err := filepath.Glob(filepath.Join(dir, "*part*")); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// What is listed as a backup can be restored, as far as its beginning tells, or as a whole.
func TestCheckBackup(t *testing.T) {
	dir := t.TempDir()
	whole := filepath.Join(dir, "whole.db")
	s := mustOpen(t, filepath.Join(dir, "rosey.db"))
	for i := range 300 {
		applyLine(t, s, fmt.Sprintf("%d %s", i, strings.Repeat("x", 1000)))
	}
	if _, err := s.Backup(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	content, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	damaged := slices.Clone(content)
	for i := len(damaged) / 2; i < len(damaged)/2+100_000; i++ {
		damaged[i] = 0xff
	}
	for name, test := range map[string]struct {
		content            []byte
		begin, wantReadAll bool // it is refused
	}{
		"whole": {content, false, false}, "empty": {nil, true, true}, "half": {content[:len(content)/2], true, true},
		"cut": {content[:len(content)-4096], true, true}, "damaged": {damaged, false, true},
	} {
		file := filepath.Join(dir, name+".db")
		if err := os.WriteFile(file, test.content, 0o600); err != nil {
			t.Fatal(err)
		}
		for readAll, want := range map[bool]bool{false: test.begin, true: test.wantReadAll} {
			if err := CheckBackup(t.Context(), file, readAll); (err != nil) != want {
				t.Errorf("%s, read as a whole %t: %v", name, readAll, err)
			}
		}
	}
}

func TestBackupOfAFileThatCannotBeChecked(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "rosey.db")
	mustClose(t, mustOpen(t, path))
	// The directory of the backup is a file.
	if _, err := Backup(t.Context(), path, filepath.Join(path, "backup.db")); err == nil ||
		strings.Contains(err.Error(), "it exists") || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("error %v, want one that says what is wrong with the name", err)
	}
	_, err := Backup(t.Context(), path, path)
	if err == nil || !strings.Contains(err.Error(), "it exists") {
		t.Errorf("error %v, want that the file exists", err)
	}
}

// Each part is as large as the database, and its directory may be on the same small volume.
func TestPartsOfKilledProcessesAreRemoved(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "rosey.db"), filepath.Join(dir, "backup.db")
	mustClose(t, mustOpen(t, path))
	running, remove, err := createPart(backup, nil) // of a command that still runs
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = remove() }()
	kept := []string{running, backup + ".part-of something else"}
	var abandoned []string
	for _, target := range []string{path, backup} {
		abandoned = append(abandoned, target+".part-123", target+".part-123-journal")
	}
	for _, name := range append(abandoned, kept[1:]...) {
		if err := os.WriteFile(name, []byte("a part"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Backup(t.Context(), path, backup); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(t.Context(), backup, path); err != nil {
		t.Fatal(err)
	}
	for _, name := range abandoned {
		if _, err := os.Lstat(name); !os.IsNotExist(err) {
			t.Errorf("%s is still there: %v", name, err)
		}
	}
	for _, name := range kept {
		if _, err := os.Lstat(name); err != nil {
			t.Error(err)
		}
	}
}

// A file that is mounted alone cannot be replaced. That is said, and the database stays as it was.
func TestRestoreOfAFileThatIsMountedAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "rosey.db"), filepath.Join(dir, "backup.db")
	s := mustOpen(t, path)
	if _, err := s.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	applyLine(t, s, "later")
	mustClose(t, s)
	mounted := bindMount(t, path)
	if mounted == "" {
		t.Skip("without a bind mount")
	}
	if _, err := Restore(t.Context(), backup, mounted); err == nil || !strings.Contains(err.Error(), "mounted alone") {
		t.Errorf("restored: %v", err)
	}
	if got := fmt.Sprint(chatTexts(t, mounted)); got != "[later]" {
		t.Errorf("chat: %s", got)
	}
}

// A backup from the day on which a removal was announced is what somebody restores who did not want it.
func TestRestoreForgetsAnnouncedRemovals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "rosey.db"), filepath.Join(dir, "backup.db")
	s := mustOpen(t, path)
	removal := store.Removal{Kind: store.PruneChat, Kept: time.Hour, AnnouncedAt: time.Now()}
	if err := s.AnnounceRemoval(t.Context(), removal); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Backup(t.Context(), backup); err != nil {
		t.Fatal(err)
	}
	mustClose(t, s)
	if _, err := Restore(t.Context(), backup, path); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, path)
	defer mustClose(t, s)
	if left, err := s.Removals(t.Context(), ""); err != nil || len(left) != 0 {
		t.Errorf("announced after the restore: %+v, %v", left, err)
	}
}
