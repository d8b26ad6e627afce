package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/status"
)

// filesIn returns the names of the files of a directory with their contents and times.
func filesIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, entry := range entries {
		info, infoErr := entry.Info()
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err := errors.Join(infoErr, err); err != nil {
			t.Fatal(err)
		}
		files[entry.Name()] = fmt.Sprint(info.Mode(), info.ModTime(), string(content))
	}
	return files
}

// A path that leads to the Python bot's database by mistake must not cost that bot its database.
func TestTheDatabaseOfThePythonBotIsNotTouched(t *testing.T) {
	t.Parallel()
	nats := natstest.Start(t)
	_, site := simulatortest.Start(t, simulator.Options{})
	python := writePython(t)
	dir := filepath.Dir(python)
	if err := os.Rename(python, filepath.Join(dir, config.SQLiteFile)); err != nil {
		t.Fatal(err)
	}
	python = filepath.Join(dir, config.SQLiteFile)
	before := filesIn(t, dir)
	elsewhere := t.TempDir()
	own := filepath.Join(elsewhere, "own.db")
	expectCall(t, exit.Clean, "", "import", writePython(t), "--channel", "m", "--database", own, "--drop-older")
	expectCall(t, exit.Clean, "", "db", "backup", filepath.Join(elsewhere, "backup.db"), "--channel", "m",
		"--database", own)
	flags := []string{"--channel", "m", "--database", python}
	for _, arguments := range [][]string{
		append([]string{"db", "show"}, flags...),
		append([]string{"db", "dead", "list"}, flags...),
		append([]string{"db", "dead", "drop", "--all"}, flags...),
		append([]string{"db", "dead", "retry", "--all"}, flags...),
		append([]string{"db", "backup", filepath.Join(elsewhere, "copy.db")}, flags...),
		append([]string{"db", "restore", filepath.Join(elsewhere, "backup.db")}, flags...),
		append([]string{"import", writePython(t), "--drop-older"}, flags...),
		{"db", "move", "--from", "sqlite://" + own, "--to", "sqlite://" + python},
		{"db", "move", "--to", "sqlite://" + filepath.Join(elsewhere, "new.db"), "--from", "sqlite://" + python},
	} {
		expectCall(t, exit.Failure, "Python Rosey", arguments...)
	}
	for _, p := range []*roseyProcess{
		start(t, append([]string{"db", "--nats", nats.URL(), "--http", "127.0.0.1:0"}, flags...)...),
		start(t, "run", "--channel", "m", "--server", site, "--data", dir, "--http", "127.0.0.1:0"),
		start(t, append([]string{"bot", "--mode", "direct", "--server", site, "--http", "127.0.0.1:0"}, flags...)...),
	} {
		if report := p.waitFor(status.ReasonStoreUnsuitable); !strings.Contains(report.Message, "Python Rosey") {
			t.Errorf("message %q", report.Message)
		}
		p.end(syscall.SIGKILL)
	}
	if diff := cmp.Diff(before, filesIn(t, dir)); diff != "" {
		t.Errorf("the files changed: %s", diff)
	}
	if _, err := os.Stat(filepath.Join(elsewhere, "new.db")); err == nil {
		t.Error("a refused move left a new database")
	}
}

// What is said while the file is away is stored when it is back, and nothing claims before that all is well.
func TestAServiceNoticesThatItsDatabaseIsGone(t *testing.T) {
	t.Parallel()
	server, dir := natstest.Start(t), t.TempDir()
	file := writeConfig(t, dir, server.URL())
	path := filepath.Join(dir, config.SQLiteFile)
	p := start(t, "db", "--config", file)
	p.waitFor(status.ReasonReady)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	if report := p.waitFor(status.ReasonStoreMoved); !strings.Contains(report.Message, path+" is gone") {
		t.Errorf("message %q", report.Message) // although nothing happens in the channel
	}
	body := `{"username":"alice","message":"is anybody there?"}`
	if err := server.Client().Publish("rosey.db.message.log", []byte(body)); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the line to arrive", func() bool {
		return strings.Contains(fmt.Sprint(p.log()), "removed, replaced or overwritten")
	})
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	p.waitFor(status.ReasonReady)
	natstest.Eventually(t, "the line to be stored", func() bool { return len(show(t, file).Chat) == 1 })
	if code := p.end(syscall.SIGTERM); code != exit.Clean {
		t.Errorf("exit code %d", code)
	}
}

func TestABotNoticesThatItsDatabaseIsGone(t *testing.T) {
	t.Parallel()
	_, site := simulatortest.Start(t, simulator.Options{})
	for _, mode := range []string{"nats", "direct"} {
		dir := t.TempDir()
		path := filepath.Join(dir, config.SQLiteFile)
		arguments := []string{"run", "--data", dir}
		if mode == "direct" {
			arguments = []string{"bot", "--mode", mode, "--database", path}
		}
		p := start(t, append(arguments, "--channel", "m", "--server", site, "--http", "127.0.0.1:0")...)
		p.waitFor(status.ReasonReady)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		p.waitFor(status.ReasonStoreMoved)
		p.end(syscall.SIGKILL)
	}
}
