package e2e

import (
	"os/exec"
	"strings"
	"testing"
)

// A part in the background that fails fails the run, what it printed and left out is shown, and the counts of all parts
// are the last lines, in the order in which the parts began.
func TestPartsInTheBackgroundAreReported(t *testing.T) {
	t.Parallel()
	const statements = `
		count() { local started=$EPOCHREALTIME; "$@"; echo "DONE $*" >"$results/counts.$started"; }
		breaks() { count sleep 0.3; echo 'it says this'; leave_out 'what it needs'; return 1; }
		works() { count sleep 0.1; }
		leave_out 'what was left out before'
		begin 'one: it breaks' breaks
		sleep 0.1
		begin two works
		finish 'one: it breaks'
		finish two
		report`
	output, err := script(t, repository, statements, "test/lib/say.sh", "test/lib/results.sh").CombinedOutput()
	if err == nil {
		t.Error("the run did not fail")
	}
	const end = "left out: what was left out before\nleft out: what it needs\nfailed: one: it breaks\n" +
		"DONE sleep 0.3\nDONE sleep 0.1\n"
	if text := string(output); !strings.HasSuffix(text, end) || !strings.Contains(text, "it says this\n") {
		t.Errorf("output:\n%s", text)
	}
}

// A run that is interrupted ends what it began in the background.
func TestNoPartInTheBackgroundOutlivesTheRun(t *testing.T) {
	t.Parallel()
	output := t.TempDir() + "/output"
	const statements = `
		lives() { trap 'echo ended >>"$1"; exit' TERM; echo began >>"$1"; sleep 60 & wait; }
		begin part lives "$output"
		until [ -s "$output" ]; do sleep 0.05; done
		kill -INT $$`
	run := script(t, repository, "output='"+output+"'\n"+statements, "test/lib/say.sh", "test/lib/results.sh")
	if text, err := run.CombinedOutput(); err == nil {
		t.Errorf("the run was not interrupted: %s", text)
	}
	const wait = `for _ in {1..600}; do [ "$(tail -n 1 "$0")" != ended ] || exit 0; sleep 0.05; done; exit 1`
	if text, err := exec.Command("bash", "-c", wait, output).CombinedOutput(); err != nil {
		t.Errorf("the part goes on: %v %s", err, text)
	}
}
