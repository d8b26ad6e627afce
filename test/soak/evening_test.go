package soak_test

import (
	"os"
	"strconv"
	"testing"

	"rosey.dev/rosey/test/chaos"
	"rosey.dev/rosey/test/soak"
)

// diskSize is enough for the rows of an evening.
const diskSize = 512 << 20

// number returns what `make soak` has set, else the default.
func number[N int | uint64](t *testing.T, variable string, or N) N {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return or
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil || n == 0 {
		t.Fatalf("%s: %q, expected a positive number", variable, text)
	}
	return N(n)
}

// TestAnEvening has a short one, unless `make soak` says otherwise.
func TestAnEvening(t *testing.T) {
	if testing.Short() {
		t.Skip("starts the real programs")
	}
	options := soak.Options{
		Seed: number[uint64](t, "ROSEY_SOAK_SEED", 1), Say: t.Logf,
		Lines: number(t, "ROSEY_SOAK_LINES", 1000), Names: number(t, "ROSEY_SOAK_NAMES", 300),
	}
	setup := chaos.Setup{Bots: 2, Databases: 1, JetStream: true, Credentials: true, LogLevel: "info", Data: t.TempDir()}
	disk, err := soak.MountDisk(setup.Data, diskSize)
	if err != nil {
		t.Logf("the disk is never full, since that needs a file system of its own: %v", err)
	} else {
		options.Disk = disk
		t.Cleanup(func() {
			if err := disk.Unmount(); err != nil {
				t.Error(err)
			}
		})
	}
	report, err := soak.Run(t.Context(), chaos.Start(t, setup), options)
	t.Logf("\n%s", report)
	if err != nil {
		t.Errorf("%v\nrun it again: make soak SEED=%d LINES=%d NAMES=%d", err, options.Seed, options.Lines, options.Names)
	}
}
