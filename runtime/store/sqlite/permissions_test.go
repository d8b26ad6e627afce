package sqlite

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// withUmask sets the umask of the process for the rest of the test.
func withUmask(t *testing.T, mask int) {
	t.Helper()
	before := syscall.Umask(mask)
	t.Cleanup(func() { syscall.Umask(before) })
}

// use opens a database, writes to it so that SQLite has all of its files, and calls check while it is open and after.
func use(t *testing.T, path string, check func()) {
	t.Helper()
	s := mustOpen(t, path)
	applyLine(t, s, "hi")
	chatTexts(t, path)
	check()
	mustClose(t, s)
	check()
}

// expectFiles checks every file of a directory.
func expectFiles(t *testing.T, dir string, mode fs.FileMode, user, group int) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 2 {
		t.Fatalf("%d files: %v", len(files), err)
	}
	for _, file := range files {
		info, err := file.Info()
		if err != nil {
			t.Fatal(err)
		}
		if gotUser, gotGroup := ownerOf(info); info.Mode() != mode || gotUser != user || gotGroup != group {
			t.Errorf("%s is %s of %d:%d, want %s of %d:%d",
				file.Name(), info.Mode(), gotUser, gotGroup, mode, user, group)
		}
	}
}

// makeDir makes a directory that others may enter.
func makeDir(t *testing.T, mode fs.FileMode, user, group int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	err := os.Mkdir(dir, 0o755)
	if err == nil {
		err = os.Chown(dir, user, group)
	}
	if err == nil {
		err = os.Chmod(dir, mode)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestFilesAreForTheirOwnerAlone(t *testing.T) {
	for _, mask := range []int{0, 0o022, 0o277} {
		t.Run(fmt.Sprintf("umask %03o", mask), func(t *testing.T) {
			dir := makeDir(t, 0o777, -1, -1)
			withUmask(t, mask)
			path := filepath.Join(dir, "rosey.db")
			check := func() { expectFiles(t, dir, ownerOnly, os.Geteuid(), os.Getegid()) }
			use(t, path, check)
			if _, err := Backup(t.Context(), path, filepath.Join(dir, "backup.db")); err != nil {
				t.Fatal(err)
			}
			if _, err := Restore(t.Context(), filepath.Join(dir, "backup.db"), path); err != nil {
				t.Fatal(err)
			}
			use(t, path, check)
		})
	}
}

// TestFilesOfEarlierVersionsAreRestricted opens, and then restores, a database that others can read.
func TestFilesOfEarlierVersionsAreRestricted(t *testing.T) {
	dir := makeDir(t, 0o755, -1, -1)
	path, backup := filepath.Join(dir, "rosey.db"), filepath.Join(t.TempDir(), "backup.db")
	mustClose(t, mustOpen(t, path))
	if _, err := Backup(t.Context(), path, backup); err != nil {
		t.Fatal(err)
	}
	widen := func() {
		for _, suffix := range fileSuffixes {
			if err := os.Chmod(path+suffix, 0o644); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
		}
	}
	widen()
	use(t, path, func() { expectFiles(t, dir, ownerOnly, os.Geteuid(), os.Getegid()) })
	widen()
	if _, err := Restore(t.Context(), backup, path); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, dir, ownerOnly, os.Geteuid(), os.Getegid())
}

// TestALinkIsNotFollowed checks that nothing changes outside of the directory of the database.
func TestALinkIsNotFollowed(t *testing.T) {
	dir, elsewhere := makeDir(t, 0o755, -1, -1), filepath.Join(t.TempDir(), "elsewhere")
	if err := os.WriteFile(elsewhere, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(elsewhere, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(dir, "rosey.db-journal")); err != nil {
		t.Fatal(err)
	}
	restrict(filepath.Join(dir, "rosey.db"))
	if info, err := os.Stat(elsewhere); err != nil || info.Mode() != 0o644 {
		t.Errorf("the file elsewhere: %v, %v", info.Mode(), err)
	}
}

// TestTheGroupOfAPodMayUseTheFiles checks a directory as Kubernetes makes it for fsGroup, where the next user of the
// pod may be another, and directories that only resemble it.
func TestTheGroupOfAPodMayUseTheFiles(t *testing.T) {
	withUmask(t, 0o077)
	group := os.Getegid()
	const setgid = fs.ModeSetgid
	for _, test := range []struct {
		directory, want fs.FileMode
	}{
		{setgid | 0o770, ownerOrGroup}, {setgid | 0o777, ownerOrGroup}, {setgid | 0o755, ownerOnly}, {0o770, ownerOnly},
	} {
		dir := makeDir(t, test.directory, -1, group)
		path := filepath.Join(dir, "rosey.db")
		use(t, path, func() { expectFiles(t, dir, test.want, os.Geteuid(), group) })
		if _, err := Backup(t.Context(), path, filepath.Join(dir, "backup.db")); err != nil {
			t.Fatal(err)
		}
		expectFiles(t, dir, test.want, os.Geteuid(), group)
	}
}

// TestRootLeavesTheFilesToTheirOwner runs what an administrator runs as root for a service of another user.
func TestRootLeavesTheFilesToTheirOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const user, group, otherGroup = 12345, 23456, 34567
	dir, backups := makeDir(t, 0o755, user, group), makeDir(t, 0o755, 0, 0)
	path, backup := filepath.Join(dir, "rosey.db"), filepath.Join(backups, "backup.db")
	check := func() { expectFiles(t, dir, ownerOnly, user, group) }
	use(t, path, check)
	if _, err := Backup(t.Context(), path, backup); err != nil {
		t.Fatal(err)
	}
	if _, err := Backup(t.Context(), path, backup+".2"); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, backups, ownerOnly, user, group)

	// The database may belong to others than its directory.
	for _, suffix := range []string{"", lockSuffix} {
		if err := os.Chown(path+suffix, user+1, otherGroup); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Restore(t.Context(), backup, path); err != nil {
		t.Fatal(err)
	}
	use(t, path, func() { expectFiles(t, dir, ownerOnly, user+1, otherGroup) })

	// Into a directory without a database.
	empty := makeDir(t, 0o755, user, group)
	if _, err := Restore(t.Context(), backup, filepath.Join(empty, "rosey.db")); err != nil {
		t.Fatal(err)
	}
	expectFiles(t, empty, ownerOnly, user, group)
	foreign := makeDir(t, fs.ModeSetgid|0o770, user, group) // root is no member of the group
	use(t, filepath.Join(foreign, "rosey.db"), func() { expectFiles(t, foreign, ownerOnly, user, group) })
}
