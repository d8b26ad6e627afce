package database_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// enqueue enqueues lines when the service opens its store.
func enqueue(at time.Time, texts ...string) func(*database.ServiceOptions) {
	return func(o *database.ServiceOptions) {
		open := o.Open
		o.Open = func(ctx context.Context) (store.Store, error) {
			opened, err := open(ctx)
			for _, text := range texts {
				if err == nil {
					_, err = opened.Enqueue(ctx, movies, store.OutboundLine{Text: text, At: at})
				}
			}
			return opened, err
		}
	}
}

// rejectedCount is the least number of users in a sample that a faultyStore rejects.
const rejectedCount = 900_000

// faultyStore is a store whose Apply can be made to fail or to block.
type faultyStore struct {
	store.Store

	mu      sync.Mutex // locked by a test: Apply blocks
	failing atomic.Bool
	applies atomic.Int32
}

func (a *faultyStore) Apply(ctx context.Context, events []store.Event) error {
	a.applies.Add(1)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failing.Load() {
		return errors.New("disk I/O error")
	}
	for _, event := range events {
		if count, ok := event.Fact.(store.UserCount); ok && count.Chat >= rejectedCount {
			return fmt.Errorf("%w: too many users", store.ErrRejected)
		}
	}
	return a.Store.Apply(ctx, events)
}

func (r *rig) faultyStore() (*faultyStore, func(*database.ServiceOptions)) {
	a := &faultyStore{}
	return a, func(o *database.ServiceOptions) {
		o.Open = func(ctx context.Context) (store.Store, error) {
			opened, err := r.sqlite(ctx)
			a.Store = opened
			return a, err
		}
	}
}

func (r *rig) publishChat(text string) {
	r.publish(bus.MessageLog, fmt.Sprintf(`{"username":"alice","message":%q}`, text))
}

func numberedTexts(n int) (texts []string) {
	for i := range n {
		texts = append(texts, fmt.Sprint(i))
	}
	return texts
}

func TestOrderAcrossSubjects(t *testing.T) {
	r := newRig(t)
	r.ready(r.start())
	// All have the time of a few milliseconds, so that only their order determines who is in the channel in the end.
	for range 200 {
		r.publish(bus.UserJoined, `{"username":"alice"}`)
		r.publish(bus.UserLeft, `{"username":"alice"}`)
		r.publish(bus.UserLeft, `{"username":"bob"}`)
		r.publish(bus.UserJoined, `{"username":"bob"}`)
	}
	r.waitUntilStored()
	users, err := r.openReadOnly().Users(t.Context(), movies)
	if err != nil || len(users) != 2 || users[0].SessionStart != nil || users[1].SessionStart == nil {
		t.Errorf("users: %+v, %v; want alice out of the channel and bob in it", users, err)
	}
}

func TestTimesAndIDs(t *testing.T) {
	r := newRig(t)
	r.ready(r.start())
	began := time.Now()
	said := func(text, timestamp, id string) {
		r.publish(bus.MessageLog, fmt.Sprintf(`{"username":"alice","message":%q,"timestamp":%s}`, text, timestamp), id)
	}
	said("past", "1763700000.123", "a/db.message.log")
	said("past", "1763700000.123", "a/db.message.log")
	said("future", fmt.Sprint(began.Unix()+1000), "b/db.message.log")
	said("foreign id", "1763700001", "c")
	said("foreign id", "1763700001", "c")
	r.waitUntilStored()
	lines := r.lines()
	same(t, "lines", []string{"past", "foreign id", "future"}, r.texts())
	if at := lines[0].At; at.UnixMilli() != 1763700000123 {
		t.Errorf("a time in the past: %v", at)
	}
	if at := lines[2].At; at.Before(began) || at.After(time.Now().Add(3*time.Second)) {
		t.Errorf("a time in the future: %v, want about now", at)
	}
}

func TestStopStoresWhatArrived(t *testing.T) {
	r := newRig(t)
	slow, with := r.faultyStore()
	s := r.ready(r.start(with))
	slow.mu.Lock()
	texts := numberedTexts(3000)
	for _, text := range texts {
		r.publishChat(text)
	}
	if err := r.client.Flush(); err != nil {
		t.Fatal(err)
	}
	natstest.Eventually(t, "the first batch", func() bool { return slow.applies.Load() > 0 })
	s.end()
	natstest.Eventually(t, "the service to unsubscribe", func() bool {
		_, err := r.client.Request("rosey.db.messages.outbound.get", []byte(`{"limit":0}`), 10*time.Millisecond)
		return errors.Is(err, nats.ErrNoResponders)
	})
	slow.mu.Unlock()
	r.stop(s)
	same(t, "lines", texts, r.texts())
	if check := s.StoreCheck(); check.OK || check.Reason != status.ReasonStopping {
		t.Errorf("stopped: %+v", check)
	}
}

// Handlers of requests run in goroutines of nats.go. The service stops while requests come: each that it has received
// gets its reply, and for the others the server says that there is no service.
func TestStopRepliesToRequestsThatArrived(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start())
	replies, err := r.client.SubscribeSync(nats.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	const count, before = 8000, 2000
	for i := range count {
		subject := "rosey." + string(bus.OutboundGet)
		if err := r.client.PublishRequest(subject, replies.Subject, []byte(`{"limit":0}`)); err != nil {
			t.Fatal(err)
		}
		if i == before {
			s.end()
		}
	}
	r.stop(s)
	for i := range count {
		reply, err := replies.NextMsg(5 * time.Second)
		if !errors.Is(err, nats.ErrNoResponders) && (err != nil || string(reply.Data) != "[]") {
			t.Fatalf("reply %d of %d: %v, %v", i, count, reply, err)
		}
	}
}

func TestUnavailableStoreIsRetried(t *testing.T) {
	r := newRig(t)
	store, with := r.faultyStore()
	s := r.ready(r.start(with))
	store.failing.Store(true)
	began := time.Now()
	r.publishChat("a")
	natstest.Eventually(t, "two attempts", func() bool { return store.applies.Load() >= 2 })
	r.publishChat("b")
	check := s.StoreCheck()
	if check.OK || check.Reason != status.ReasonStoreUnavailable || !strings.Contains(check.Message, "disk I/O error") {
		t.Errorf("%+v, want the store's error", check)
	}
	attempts := store.applies.Load()
	natstest.Eventually(t, "more attempts", func() bool { return store.applies.Load() > attempts+1 })
	back := time.Now()
	store.failing.Store(false)
	r.waitUntilStored()
	same(t, "lines", []string{"a", "b"}, r.texts())
	for _, line := range r.lines() {
		if line.At.Before(began.Truncate(time.Millisecond)) || line.At.After(back) {
			t.Errorf("%q has the time %v, want its arrival between %v and %v", line.Text, line.At, began, back)
		}
	}
	if check := s.StoreCheck(); !check.OK || check.Reason != status.ReasonStoreOpen {
		t.Errorf("after the store is available again: %+v", check)
	}
}

func TestStopWithUnavailableStore(t *testing.T) {
	r := newRig(t)
	store, with := r.faultyStore()
	s := r.ready(r.start(with, database.WithGracePeriod(50*time.Millisecond)))
	store.failing.Store(true)
	r.publishChat("a")
	natstest.Eventually(t, "an attempt", func() bool { return store.applies.Load() > 0 })
	s.end()
	if err := <-s.ended; err == nil || !strings.Contains(err.Error(), "1 messages") {
		t.Errorf("ended with %v, want an error with the number of lost messages", err)
	}
}

func TestRejectedEventsDoNotAffectOthers(t *testing.T) {
	r := newRig(t)
	blocked, with := r.faultyStore()
	s := r.ready(r.start(with))
	blocked.mu.Lock()
	r.publishChat("first")
	natstest.Eventually(t, "the first batch", func() bool { return blocked.applies.Load() == 1 })
	texts := numberedTexts(100)
	for i, text := range texts {
		r.publishChat(text)
		if i == 30 || i == 77 {
			r.publish(bus.StatsUserCount, fmt.Sprintf(`{"chat_count":%d,"connected_count":5}`, rejectedCount+i))
		}
	}
	natstest.Eventually(t, "all to wait in one batch", func() bool { return r.waiting(s) == 102 })
	blocked.mu.Unlock()
	r.waitUntilStored()
	same(t, "lines", append([]string{"first"}, texts...), r.texts())
	if rejected := r.count(s, bus.StatsUserCount, "rejected"); rejected != 2 {
		t.Errorf("%v rejected, want 2", rejected)
	}
	if stored := r.count(s, bus.MessageLog, "stored"); stored != 101 {
		t.Errorf("%v lines counted as stored, want 101", stored)
	}
	same(t, "dead letters", 2.0, r.metric(s, "rosey_database_dead_letters_total"))
	if check := s.StoreCheck(); !check.OK {
		t.Errorf("the store's check after a rejected event: %+v", check)
	}
}

func TestFullInboxDropsAndCounts(t *testing.T) {
	r := newRig(t)
	blocked, with := r.faultyStore()
	s := r.ready(r.start(with, func(o *database.ServiceOptions) { o.Log = slog.New(slog.DiscardHandler) }))
	blocked.mu.Lock()
	r.publishChat("first")
	natstest.Eventually(t, "the first batch", func() bool { return blocked.applies.Load() == 1 })
	const count = 80_000
	for range count {
		r.publish(bus.UserJoined, `{}`) // without a user, so that it is ignored
	}
	if err := r.client.Flush(); err != nil {
		t.Fatal(err)
	}
	dropped := func() float64 { return r.metric(s, "rosey_database_dropped_messages_total") }
	natstest.Eventually(t, "messages to be dropped", func() bool { return dropped() > 0 })
	blocked.mu.Unlock()
	natstest.Eventually(t, "all to be counted", func() bool {
		return r.count(s, bus.UserJoined, "ignored")+r.count(s, bus.UserJoined, "repeated")+dropped() == count
	})
}

// A flood of requests whose clients have given up must not keep events from being stored until the last is answered.
func TestRequestsThatWaitedTooLongAreNotAnswered(t *testing.T) {
	const patience = 50 * time.Millisecond
	r := newRig(t)
	blocked, with := r.faultyStore()
	s := r.ready(r.start(with, database.WithMaxRequestAge(patience)))
	blocked.mu.Lock()
	r.publishChat("first")
	natstest.Eventually(t, "the first batch", func() bool { return blocked.applies.Load() == 1 })
	for range 20 {
		r.publish(bus.StatsRecentChat, `{}`)
	}
	r.publish(bus.OutboundPut, `{"message":"too late"}`)
	r.publishChat("last")
	natstest.Eventually(t, "all to wait", func() bool { return r.waiting(s) == 22 })
	waited := time.Now()
	natstest.Eventually(t, "the clients to give up", func() bool { return time.Since(waited) > patience })
	blocked.mu.Unlock()
	natstest.Eventually(t, "the last line", func() bool { return len(r.lines()) == 2 })
	same(t, "expired", 20.0, r.count(s, bus.StatsRecentChat, "expired"))
	same(t, "lines to say", 1.0, r.count(s, bus.OutboundPut, "expired"))
	if reply := r.request(bus.OutboundGet, `{}`); reply != "[]" {
		t.Errorf("waiting lines: %s", reply)
	}
}

func TestLogHasNoContentOfMessages(t *testing.T) {
	var log bytes.Buffer
	r := newRig(t)
	s := r.ready(r.start(func(o *database.ServiceOptions) {
		o.Log = slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}))
	for _, body := range []string{
		`{"username":"hush","message":"hush"`, `{"username":["hush"],"message":"hush"}`, `{"username":"hush","message":""}`,
		`{"username":"hush","message":"hush"}`, `"hush"`, `{"username":"hush","message":"hush","timestamp":"hush"}`,
	} {
		r.publish(bus.MessageLog, body)
		r.request(bus.OutboundGet, `{"limit":"hush"}`)
	}
	r.stop(s)
	text := log.String()
	if strings.Contains(text, "hush") || !strings.Contains(text, "db.message.log") {
		t.Errorf("the log:\n%s", text)
	}
}

func TestTwoServicesShareTheQueueGroup(t *testing.T) {
	r := newRig(t)
	shared, err := r.sqlite(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = shared.Close() }()
	open := func(o *database.ServiceOptions) {
		o.Open = func(context.Context) (store.Store, error) { return sharedStore{shared}, nil }
	}
	first, second := r.ready(r.start(open)), r.ready(r.start(open))
	for _, text := range numberedTexts(200) {
		r.publishChat(text)
	}
	if err := r.client.Flush(); err != nil {
		t.Fatal(err)
	}
	r.stop(first)
	r.stop(second)
	if lines := r.lines(); len(lines) != 200 {
		t.Errorf("%d lines, want each of 200 once", len(lines))
	}
	for _, s := range []*running{first, second} {
		if r.count(s, bus.MessageLog, "stored") == 0 {
			t.Error("one service handled nothing")
		}
	}
}

// sharedStore is a store that several services use, and that the test closes.
type sharedStore struct{ store.Store }

func (sharedStore) Close() error { return nil }

func TestStoreIsOpenedBeforeSubscribing(t *testing.T) {
	r := newRig(t)
	holder, err := sqlite.Open(t.Context(), r.path)
	if err != nil {
		t.Fatal(err)
	}
	s := r.start()
	natstest.Eventually(t, "the check to name the lock", func() bool {
		check := s.StoreCheck()
		return check.Reason == status.ReasonStoreUnavailable && strings.Contains(check.Message, r.path+".lock")
	})
	if check := s.NATSCheck(); check.OK || check.Reason != status.ReasonStarting {
		t.Errorf("NATS check %+v, want not OK before the store is open", check)
	}
	_, err = r.client.Request("rosey.db.messages.outbound.get", []byte(`{}`), time.Second)
	if !errors.Is(err, nats.ErrNoResponders) {
		t.Errorf("a request without a store: %v, want no responders", err)
	}
	if err := holder.Close(); err != nil {
		t.Fatal(err)
	}
	r.ready(s)
	r.waitUntilStored()
}

func TestStopBeforeTheStoreIsOpen(t *testing.T) {
	r := newRig(t)
	s := r.start(func(o *database.ServiceOptions) {
		o.Open = func(context.Context) (store.Store, error) { return nil, errors.New("read-only file system") }
	})
	natstest.Eventually(t, "the cause", func() bool {
		return strings.Contains(s.StoreCheck().Message, "read-only file system")
	})
	r.stop(s)
}
