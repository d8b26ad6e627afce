package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/status"
)

// defaultServiceMemory is the memory limit of the database service's container, unless the RoseyBot has another.
const defaultServiceMemory = 256 << 20

// A stream of an earlier version may be full of lines of 1 MB. They once ended the service at each of its starts.
func TestLargeMessagesInTheStreamDoNotEndTheService(t *testing.T) {
	nats := natstest.Start(t, natstest.JetStream(t))
	arguments := []string{"db", "--channel", "movienight", "--nats", nats.URL(), "--http", "127.0.0.1:0",
		"--nats-jet-stream-mode", "always", "--database", filepath.Join(t.TempDir(), "rosey.db"),
		"--nats-jet-stream-max-bytes", strconv.Itoa(1 << 30)}
	db := start(t, arguments...)
	db.waitFor(status.ReasonReady)
	db.end(syscall.SIGTERM)
	js, err := jetstream.New(nats.Client())
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "rosey_events")
	if err != nil {
		t.Fatal(err)
	}
	earlier := stream.CachedInfo().Config
	earlier.MaxMsgSize = -1
	if _, err := js.UpdateStream(t.Context(), earlier); err != nil {
		t.Fatal(err)
	}
	const count = 240
	line := fmt.Appendf(nil, `{"username":"alice","message":%q}`, strings.Repeat("x", 1_000_000))
	for range count {
		if _, err := js.PublishAsync("rosey.db.message.log", line); err != nil {
			t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	if info, err := stream.Info(t.Context()); err != nil || info.State.Msgs != count {
		t.Fatalf("%d lines in the stream, %v", info.State.Msgs, err)
	}

	db = startCommand(t, releasedProgram(t, arguments...))
	natstest.Within(t, 60*time.Second, "all to be handled", func() bool {
		consumer, err := js.Consumer(t.Context(), "rosey_events", "rosey_db")
		return err == nil && consumer.CachedInfo().NumPending+uint64(consumer.CachedInfo().NumAckPending) == 0
	})
	if peak := peakMemory(t, db); peak > defaultServiceMemory*3/4 {
		t.Errorf("the service has used %d MiB", peak>>20)
	}
}

// peakMemory returns the most memory that a process has had, in bytes.
func peakMemory(t *testing.T, p *roseyProcess) int {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(content), "VmHWM:")
	kilobytes, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("peak memory: %d MiB", kilobytes>>10)
	return kilobytes << 10
}
