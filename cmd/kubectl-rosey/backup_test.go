package main

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/streaming/pkg/httpstream/wsstream"
	_ "modernc.org/sqlite" // the driver

	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

func writeText(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// expectFiles checks that a folder has exactly the files of these names and contents.
func expectFiles(t *testing.T, folder string, want map[string]string) {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		text, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		if wanted, ok := want[entry.Name()]; err != nil || !ok || string(text) != wanted {
			t.Errorf("%s is there with %q (%v), want %q", entry.Name(), text, err, wanted)
		}
	}
	if len(entries) != len(want) {
		t.Errorf("%d files, want %v", len(entries), want)
	}
}

// A backup neither replaces nor removes a file that it has not made, even one that appears while it copies, and leaves
// none of its own if it fails.
func TestBackupLeavesFilesOfOthers(t *testing.T) {
	t.Parallel()
	const other = "of somebody else"
	text := sqliteText
	good := func(out io.Writer) error {
		_, err := io.WriteString(out, text)
		return err
	}
	for name, test := range map[string]struct {
		before map[string]string
		write  func(folder string) func(io.Writer) error
		want   string
		after  map[string]string
	}{
		"nothing there": {
			write: func(string) func(io.Writer) error { return good },
			after: map[string]string{"a.db": text},
		},
		"the file": {
			before: map[string]string{"a.db": other},
			write:  func(string) func(io.Writer) error { return good },
			want:   "a.db exists already", after: map[string]string{"a.db": other},
		},
		"the partial file": {
			before: map[string]string{"a.db.part": other},
			write:  func(string) func(io.Writer) error { return good },
			want:   "a.db.part is there", after: map[string]string{"a.db.part": other},
		},
		"the file appears meanwhile": {
			write: func(folder string) func(io.Writer) error {
				return func(out io.Writer) error {
					return errors.Join(good(out), os.WriteFile(filepath.Join(folder, "a.db"), []byte(other), 0o600))
				}
			},
			want: "a.db exists already", after: map[string]string{"a.db": other},
		},
		"no database": {
			write: func(string) func(io.Writer) error {
				return func(out io.Writer) error { _, err := io.WriteString(out, "an error page"); return err }
			},
			want: "is no SQLite database",
		},
		"the copy fails": {
			write: func(string) func(io.Writer) error {
				return func(out io.Writer) error { return errors.Join(good(out), errors.New("cut off")) }
			},
			want: "cut off",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			for name, text := range test.before {
				writeText(t, filepath.Join(folder, name), text)
			}
			size, err := writeWhole(filepath.Join(folder, "a.db"), test.write(folder), checkSQLite)
			if test.want == "" && (err != nil || size != int64(len(text))) {
				t.Errorf("%d bytes, %v", size, err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("%v, want %q", err, test.want)
			}
			expectFiles(t, folder, test.after)
		})
	}
}

// A pod that is removed while it sends a backup, or a download that was cut off, leaves a file that begins well.
func TestDatabasesThatAreCutOffAreFoundOut(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a.db")
	database, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{"PRAGMA page_size = 65536", "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)"} {
		if _, err := database.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := database.Close(); err != nil {
		t.Fatal(err)
	}
	if err := checkInput(path); err != nil {
		t.Error(err)
	}
	writeText(t, path+"-wal", "changes")
	if err := checkInput(path); err == nil || !strings.Contains(err.Error(), "a.db-wal has changes") {
		t.Errorf("with changes beside it: %v", err)
	}
	if err := os.Remove(path + "-wal"); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 2*largestPage-1); err != nil {
		t.Fatal(err)
	}
	want := "is cut off: it has 131071 bytes, and should have 131072"
	if err := checkInput(path); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
	if err := checkInput(os.DevNull); err == nil || !strings.Contains(err.Error(), "expected a regular file") {
		t.Errorf("a device: %v", err)
	}
}

// A proxy that ends the connection in the midst of a backup may have it look like the end of the program.
func TestABackupToStandardOutputThatIsCutOffIsFoundOut(t *testing.T) {
	needServer(t)
	t.Parallel()
	create(t, newBot("piped"))
	createPod(t, "piped", "piped-db-1", status.DatabaseComponent)
	const page = 512
	whole := make([]byte, 2*page)
	copy(whole, sqliteHeader)
	binary.BigEndian.PutUint16(whole[16:], page)
	binary.BigEndian.PutUint32(whole[28:], uint32(len(whole)/page))
	for _, test := range []struct {
		sent []byte
		code int
		want string
	}{
		{whole, exit.Clean, ""},
		{whole[:len(whole)-1], exit.Failure, "is cut off: it has 1023 bytes, and should have 1024"},
		{nil, exit.Failure, "is no SQLite database"},
	} {
		path := inFront(t, func(w http.ResponseWriter, request *http.Request) bool {
			if !strings.HasSuffix(request.URL.Path, "/pods/piped-db-1/exec") {
				return false
			}
			execute(t, w, request, test.sent)
			return true
		})
		code, out, stderr := callThrough(t.Context(), path, "backup", "piped", "-")
		if code != test.code || out.String() != string(test.sent) || !strings.Contains(stderr.String(), test.want) {
			t.Errorf("%d bytes sent: exit code %d, %q, %s", len(test.sent), code, out, stderr)
		}
	}
}

// execute answers a request to run a program as a kubelet does for one that writes something and has no failure.
func execute(t *testing.T, w http.ResponseWriter, request *http.Request, output []byte) {
	const in, out = wsstream.ReadChannel, wsstream.WriteChannel
	conn := wsstream.NewConn(map[string]wsstream.ChannelProtocolConfig{remotecommand.StreamProtocolV5Name: {
		Binary: true, Channels: []wsstream.ChannelType{in, out, out, out, in},
	}})
	_, channels, err := conn.Open(w, request)
	if err != nil {
		t.Error(err)
		return
	}
	_, sendErr := channels[remotecommand.StreamStdOut].Write(output)
	_, endErr := io.WriteString(channels[remotecommand.StreamErr], `{"status":"Success"}`)
	if err := errors.Join(sendErr, endErr, conn.Close()); err != nil {
		t.Error(err)
	}
}
