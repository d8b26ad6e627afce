// Package smoke tries a program that was built elsewhere, on any operating system: it uses nothing that only Linux has.
// hack/ci/smoke runs it with the program of a release.
package smoke

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/hack/cytube/simulator"
	"rosey.dev/rosey/hack/cytube/simulator/simulatortest"
)

// A bot with everything in one process joins a channel, and a line that is said there is in its SQLite database.
func TestProgramStoresWhatIsSaid(t *testing.T) {
	program := os.Getenv("ROSEY_PROGRAM")
	if program == "" {
		t.Skip("set ROSEY_PROGRAM to the program to try")
	}
	const line = "Is this thing on?"
	sim, site := simulatortest.Start(t, simulator.Options{
		Accounts: []simulator.Account{{Name: "Rosey", Password: "hush-hush", Rank: 2}}})
	dir := t.TempDir()
	password := filepath.Join(dir, "password")
	if err := os.WriteFile(password, []byte("hush-hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	channel := []string{"--server", site, "--channel", "movienight"}
	run := exec.CommandContext(ctx, program, append([]string{"run", "--data", dir, "--http", "127.0.0.1:0",
		"--username", "Rosey", "--password-file", password}, channel...)...)
	var output bytes.Buffer
	run.Stdout, run.Stderr = &output, &output
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = run.Process.Kill() // Windows has no signal that asks it to end
		_ = run.Wait()
		if t.Failed() {
			t.Logf("rosey run:\n%s", &output)
		}
	})

	movies := sim.Channel("movienight")
	if _, err := movies.WaitFor(ctx, 0, func(e simulator.Entry) bool {
		return e.Kind == simulator.KindJoin && e.User == "Rosey"
	}); err != nil {
		t.Fatalf("the bot did not join: %v", err)
	}
	if err := movies.Join("alice"); err != nil {
		t.Fatal(err)
	}
	if _, err := movies.Say("alice", line); err != nil {
		t.Fatal(err)
	}
	show := append([]string{"db", "show", "--database", filepath.Join(dir, "rosey.db")}, channel...)
	for {
		stored, err := exec.CommandContext(ctx, program, show...).CombinedOutput()
		if err == nil && strings.Contains(string(stored), line) {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the line is not stored: %v\n%s", err, stored)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
