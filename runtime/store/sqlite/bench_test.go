package sqlite_test

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// BenchmarkLine stores lines in a transaction each, after a pause that lets all threads of the process go to sleep, as
// in a channel with a line a second.
func BenchmarkLine(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	opened, err := sqlite.Open(ctx, filepath.Join(b.TempDir(), "rosey.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = opened.Close() }()
	channel := store.Channel{Server: "https://cytu.be", Name: "movienight"}
	began, all := time.Now(), time.Duration(0)
	for n := 0; b.Loop(); n++ {
		time.Sleep(5 * time.Millisecond)
		before := processorTime(b)
		err := opened.Apply(ctx, []store.Event{{
			ID: fmt.Sprintf("%016x", n), Channel: channel, At: began.Add(time.Duration(n) * time.Millisecond),
			Fact: store.ChatLine{Username: "alice", Text: "has anybody seen this one before?"},
		}})
		if err != nil {
			b.Fatal(err)
		}
		time.Sleep(time.Millisecond)
		all += processorTime(b) - before
	}
	b.ReportMetric(float64(all.Microseconds())/float64(b.N), "processor-µs/op")
}

func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
