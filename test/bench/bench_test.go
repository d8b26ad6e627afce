package main

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/store/postgres/pgtest"
)

// TestMain is also the processes that the bench starts of itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "-echo" || os.Args[1] == "-bare" || os.Args[1] == "-flood") {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestThePagesCanBeLeftOut checks that what stands for the pages, to measure the program without them, still fits.
func TestThePagesCanBeLeftOut(t *testing.T) {
	b := &bench{dir: t.TempDir()}
	overlay, err := b.overlayWithoutPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	vet := exec.CommandContext(t.Context(), "go", "vet", "-bools", "-overlay", overlay, "rosey.dev/rosey/cmd/rosey")
	if out, err := vet.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// Each case measures a little, so that the benchmark does not break unnoticed when a schema, a metric or an option of
// the program changes. What is stored is counted by the cases themselves.
func TestEveryCaseMeasures(t *testing.T) {
	b, err := newBench(t.Context(), sizes{
		idleRuns: 1, idleFor: time.Millisecond,
		chatLines: 200, chatRates: []int{2000},
		rowLines: 200, singleLines: 20, rowRounds: 1, services: []int{1, 2},
		requestRounds: 20, queryLines: 50, queryRounds: 2,
		singles: 2, pause: time.Millisecond, said: 3, evening: time.Second / 2,
		tracesRounds: 1,
		pageLines:    100, pagePeople: 100, pagePresence: 400, pageRounds: 1, pageStreams: 4, pageSaid: 1,
	}, false, "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	}()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			known := len(b.table.rows)
			if err := b.measure(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			figures := b.table.rows[known:]
			for _, one := range figures {
				// Some kernels count processor time in ticks: that of so little may be none.
				ticks := one.unit == "µs per line" || one.unit == "ms per minute" || c.name == "chat" || c.name == "traces"
				if one.value < 0 || one.value == 0 && !ticks {
					t.Errorf("%s is %v %s", one.figure, one.value, one.unit)
				}
				if one.against != "" && b.table.find(c.name, one.against) < 0 {
					t.Errorf("%s is compared with %q, which is not in the table", one.figure, one.against)
				}
			}
			if _, err := pgtest.Programs(); len(figures) == 0 && (err == nil || c.name != "services") {
				t.Error("there are no figures")
			}
		})
	}
}
