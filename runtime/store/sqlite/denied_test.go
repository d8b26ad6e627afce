package sqlite

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const deniedPath = "ROSEY_TEST_DENIED_DATABASE"

// nobody is a user who owns nothing.
const nobody = 65534

// A file that belongs to another user, as commands that root ran may leave it, is named with its owner: SQLite only
// says "unable to open database file".
func TestAFileOfAnotherUserIsNamed(t *testing.T) {
	if path := os.Getenv(deniedPath); path != "" {
		_, err := Open(t.Context(), path)
		t.Log(err)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can act as another user")
	}
	dir, err := os.MkdirTemp("", "rosey-denied-") //nolint:usetesting // t.TempDir is for root alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	program := copyProgram(t, dir)
	for _, name := range []string{"rosey.db", "rosey.db.lock", "rosey.db-wal", "rosey.db-shm"} {
		data := filepath.Join(dir, "of "+name)
		path := filepath.Join(data, "rosey.db")
		if err := errors.Join(os.Mkdir(data, 0o755), os.Chown(data, nobody, nobody)); err != nil {
			t.Fatal(err)
		}
		mustClose(t, mustOpen(t, path)) // as root, for the owner of the directory
		denied := filepath.Join(data, name)
		if file, err := os.OpenFile(denied, os.O_CREATE, 0o600); err != nil {
			t.Fatal(err)
		} else if err := errors.Join(file.Close(), os.Chown(denied, 0, 0)); err != nil {
			t.Fatal(err)
		}
		command := exec.CommandContext(t.Context(), program, "-test.run=^TestAFileOfAnotherUserIsNamed$", "-test.v")
		command.Env, command.Dir = append(os.Environ(), deniedPath+"="+path), "/"
		command.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		output, err := command.CombinedOutput()
		if want := denied + " is -rw------- of user 0 and group 0, and this process is of user 65534"; err != nil ||
			!strings.Contains(string(output), want) {
			t.Errorf("%s: %v, %s\nwant %q", name, err, output, want)
		}
	}
}

// copyProgram copies the test binary to a directory that all users may enter.
func copyProgram(t *testing.T, dir string) string {
	t.Helper()
	source, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = source.Close() }()
	path := filepath.Join(dir, "program")
	target, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(target, source)
	if err := errors.Join(err, target.Close(), os.Chmod(path, 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	return path
}
