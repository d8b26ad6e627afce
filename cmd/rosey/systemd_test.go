package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/exit"
)

// unitFile is the unit of docs/tasks/server.md.
const unitFile = "../../config/systemd/rosey.service"

func readUnit(t *testing.T) string {
	t.Helper()
	unit, err := os.ReadFile(unitFile)
	if err != nil {
		t.Fatal(err)
	}
	return string(unit)
}

// setting returns the only value of a setting of the unit.
func setting(t *testing.T, unit, name string) string {
	t.Helper()
	found := regexp.MustCompile(`(?m)^`+name+`=(.*)$`).FindAllStringSubmatch(unit, -1)
	if len(found) != 1 {
		t.Fatalf("%s: %d times, expected once", name, len(found))
	}
	return found[0][1]
}

// TestTheUnitFitsTheProgram: systemd does not kill a bot that is still storing events, nor start one again whose
// configuration can never work, and the command is one of the program.
func TestTheUnitFitsTheProgram(t *testing.T) {
	t.Parallel()
	unit := readUnit(t)
	if stop, err := time.ParseDuration(setting(t, unit, "TimeoutStopSec")); err != nil || stop <= endTimeout {
		t.Errorf("systemd kills the process after %v, %v, which may take %v", stop, err, endTimeout)
	}
	if code := setting(t, unit, "RestartPreventExitStatus"); code != strconv.Itoa(exit.Usage) {
		t.Errorf("no restart after exit code %s, want %d", code, exit.Usage)
	}
	command := strings.Fields(setting(t, unit, "ExecStart"))
	found, rest, err := newRootCommand().Find(command[1:])
	if err == nil {
		err = found.ParseFlags(rest)
	}
	if err != nil || found.Name() != "run" || filepath.Base(command[3]) != setupConfigFile {
		t.Errorf("ExecStart %q: %v", command, err)
	}
}

// TestSystemdAcceptsTheUnit, and finds it hardened.
func TestSystemdAcceptsTheUnit(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze: systemd is not installed")
	}
	// Only its path is changed: systemd looks whether the program is there.
	unit := strings.Replace(readUnit(t), "/usr/local/bin/rosey", os.Args[0], 1)
	file := writeFile(t, "rosey.service", unit)
	for _, arguments := range [][]string{
		{"verify", "--man=no", file},
		// In tenths: 1.5 of 10.
		{"security", "--offline=true", "--threshold=15", "--no-pager", file},
	} {
		out, err := exec.CommandContext(t.Context(), analyze, arguments...).CombinedOutput()
		if err != nil || arguments[0] == "verify" && len(out) > 0 {
			t.Errorf("systemd-analyze %v: %v\n%s", arguments, err, out)
		}
	}
}
