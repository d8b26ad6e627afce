package main

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"rosey.dev/rosey/runtime/exit"
	"rosey.dev/rosey/runtime/store/sqlite"
	"rosey.dev/rosey/runtime/store/storetest"
)

func TestMoveCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	urlFile := pooledURLFile(t)
	seed := rand.Uint64()
	t.Log("seed", seed)
	source := openStore(t, dir)
	storetest.Fill(t, source, seed)

	atSource, atPostgres := "sqlite://"+filepath.Join(dir, "rosey.db"), "postgres-file://"+urlFile
	atEnd := "sqlite://" + filepath.Join(dir, "end.db")
	// What another process stores meanwhile would not be copied, whatever name the file has.
	linked := filepath.Join(t.TempDir(), "linked.db")
	if err := os.Link(filepath.Join(dir, "rosey.db"), linked); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{atSource, "sqlite://" + linked} {
		expectCall(t, exit.Failure, "open in another process", "db", "move", "--from", name, "--to", atPostgres)
	}
	closeStore(t, source)
	for _, copied := range []bool{true, false} {
		text := expectCall(t, exit.Clean, "chat: ", "db", "move", "--from", atSource, "--to", atPostgres)
		for line := range strings.Lines(text) {
			fields := strings.Fields(line)
			if len(fields) == 4 && fields[0] == "chat" && (fields[2] == fields[1]) != copied {
				t.Errorf("copied %v: %s", copied, line)
			}
		}
	}
	source = openStore(t, dir)
	target := openPostgres(t, urlFile)
	storetest.Same(t, source, target)
	closePostgres(t, target)
	// Another process has the target open.
	expectCall(t, exit.Failure, "--to: ", "db", "move", "--from", atPostgres, "--to", atSource)
	closeStore(t, source)

	expectCall(t, exit.Clean, `"table": "chat"`, "db", "move", "--from", atPostgres, "--to", atEnd, "-o", "json")
	source, target = openStore(t, dir), openPostgres(t, urlFile)
	end, err := sqlite.Open(t.Context(), filepath.Join(dir, "end.db"))
	if err != nil {
		t.Fatal(err)
	}
	storetest.Same(t, source, end)
	closeStore(t, end)
	closeStore(t, source)
	closePostgres(t, target)
}

func TestMoveRejectsInvalidLocations(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := "sqlite://" + filepath.Join(dir, "rosey.db")
	for want, arguments := range map[string][]string{
		"--from: expected sqlite:///PATH": {"--to", file},
		"absolute path":                   {"--from", "sqlite://rosey.db", "--to", file},
		"--to: a URL with a password":     {"--from", file, "--to", "postgres://u:battery-staple@h/db"},
		"--from: a URL with a password":   {"--from", "postgresql://u:battery-staple@h/db", "--to", file},
		"expected another database":       {"--from", file, "--to", file},
	} {
		code, out, stderr := call(t, append([]string{"db", "move"}, arguments...)...)
		if code != exit.Usage || !strings.Contains(stderr, want) || strings.Contains(out+stderr, "battery") {
			t.Errorf("%v: exit code %d, %s%s; want %q", arguments, code, out, stderr, want)
		}
	}
	link := filepath.Join(t.TempDir(), "link.db")
	own := filepath.Join(t.TempDir(), "own.db")
	if err := errors.Join(os.WriteFile(own, nil, 0o600), os.Link(own, link)); err != nil {
		t.Fatal(err)
	}
	expectCall(t, exit.Usage, "expected another database", "db", "move", "--from", "sqlite://"+own,
		"--to", "sqlite://"+link)
	absent := "sqlite://" + filepath.Join(dir, "absent.db")
	expectCall(t, exit.Failure, "--from: opening database", "db", "move", "--from", absent, "--to", file)
	if found, _ := filepath.Glob(filepath.Join(dir, "*")); len(found) != 0 {
		t.Errorf("a move without a source created %v", found)
	}
}
