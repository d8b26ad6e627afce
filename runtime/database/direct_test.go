package database_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/publisher"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// direct returns a Direct with the rig's file. change changes its options.
func (r *rig) direct(change ...func(*database.DirectOptions)) *database.Direct {
	options := database.DirectOptions{
		EngineOptions: database.EngineOptions{Channel: movies, Open: r.sqlite, Log: natstest.Log(r.t)},
	}
	for _, one := range change {
		one(&options)
	}
	return database.NewDirect(options)
}

// runUntilEnd runs something until stop is called or the test ends.
func runUntilEnd(t *testing.T, run func(context.Context)) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	running.Go(func() { run(ctx) })
	stop = func() { cancel(); running.Wait() }
	t.Cleanup(stop)
	return stop
}

func runDirect(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	return runUntilEnd(t, func(ctx context.Context) {
		if err := run(ctx); err != nil {
			t.Errorf("the database ended with %v", err)
		}
	})
}

// tellLine publishes a line of chat whose text is a number, which is its id too.
func publishNumber(p *publisher.Publisher, number int) {
	p.Publish(context.Background(), bus.MessageLog, fmt.Sprintf("%012d", number), bus.MessagePayload{
		Username: "alice", Message: strconv.Itoa(number),
		Origin: bus.Origin{Timestamp: bus.Seconds{Time: time.UnixMilli(1763700000000 + int64(number))}},
	})
}

func numbered(from, to int) (texts []string) {
	for i := from; i < to; i++ {
		texts = append(texts, strconv.Itoa(i))
	}
	return texts
}

func flush(t *testing.T, p *publisher.Publisher) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

func TestDirectStoresAndReplies(t *testing.T) {
	r := newRig(t)
	direct := r.direct()
	runDirect(t, direct.Run)
	pub := publisher.New(publisher.Options{Store: direct, Log: natstest.Log(t)})
	runUntilEnd(t, pub.Run)
	publishNumber(pub, 1)
	publishNumber(pub, 1)
	pub.Publish(t.Context(), bus.UserJoined, "1", bus.UserPayload{Username: "bob"})
	pub.Publish(t.Context(), bus.StatsUserCount, "2", bus.UserCountPayload{ChatCount: -1})
	pub.Publish(t.Context(), bus.ActionPMCommand, "3", bus.PMCommandPayload{
		Username: "mod", Command: "help", Result: "success",
	})
	pub.Publish(t.Context(), bus.UserJoined, "4", bus.UserPayload{})
	pub.Publish(t.Context(), bus.Suffix("db.no.such"), "5", struct{}{})
	flush(t, pub)
	want := "chat alice: 1; user 'alice' 1; user 'bob' 0 open; action mod pm_command cmd=help, result: success; dead: "
	if got := r.describeRows(); !strings.HasPrefix(got, want) || strings.Count(got, "dead: ") != 1 {
		t.Errorf("the database has %q", got)
	}

	ctx := t.Context()
	var put bus.OutboundPutReply
	var reply bus.OutboundReply
	var ack bus.Ack
	var user bus.UserStatsReply
	for _, err := range []error{
		direct.Request(ctx, bus.OutboundPut, bus.OutboundPutRequest{Message: "say it"}, &put),
		direct.Request(ctx, bus.OutboundGet, bus.OutboundGetRequest{Claimant: "me"}, &reply),
		direct.Request(ctx, bus.OutboundSent, bus.OutboundSentPayload{MessageID: &put.ID}, &ack),
		direct.Request(ctx, bus.QueryUserStats, bus.UserStatsRequest{Username: "ALICE"}, &user),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	select {
	case <-direct.Waiting():
	default:
		t.Error("the line was not announced")
	}
	lines := reply.Lines
	if reply.NextDue == nil {
		t.Error("the reply does not say when the next line is due")
	}
	if !put.Success || len(lines) != 1 || lines[0].Message != "say it" || !ack.Success || user.TotalChatLines != 1 {
		t.Errorf("replies %+v, %+v, %+v, %+v", put, lines, ack, user)
	}
	var none []bus.OutboundMessage
	if err := direct.Request(ctx, bus.OutboundGet, bus.OutboundGetRequest{}, &none); err != nil || len(none) > 0 {
		t.Errorf("after the line was sent: %+v, %v", none, err)
	}
	if err := direct.Request(ctx, bus.OutboundSent, struct{}{}, &ack); err != nil || ack.Success {
		t.Errorf("a report without an ID: %+v, %v", ack, err)
	}
	if err := direct.Request(ctx, "db.row.p.insert", struct{}{}, &ack); !errors.Is(err, bus.ErrNoService) {
		t.Errorf("an unknown subject: %v", err)
	}
}

// TestDirectFullQueueKeepsTheNewest publishes more than the queue holds while the database is unavailable.
func TestDirectFullQueueKeepsTheNewest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var away atomic.Bool
	away.Store(true)
	registry := prometheus.NewPedanticRegistry()
	direct := r.direct(func(o *database.DirectOptions) {
		o.Open = func(ctx context.Context) (store.Store, error) {
			if away.Load() {
				return nil, errors.New("away")
			}
			return r.sqlite(ctx)
		}
	})
	runDirect(t, direct.Run)
	pub := publisher.New(publisher.Options{Store: direct, Log: natstest.Log(t), Registerer: registry})
	runUntilEnd(t, pub.Run)
	natstest.Eventually(t, "the reason", func() bool {
		return direct.StoreCheck().Reason == status.ReasonStoreUnavailable
	})
	var reply bus.UserStatsReply
	err := direct.Request(t.Context(), bus.QueryUserStats, bus.UserStatsRequest{Username: "alice"}, &reply)
	if !errors.Is(err, bus.ErrNoReply) {
		t.Errorf("a request while the database is unavailable: %v", err)
	}
	const more = 7
	for i := range publisher.DefaultBuffer + more {
		publishNumber(pub, i)
	}
	away.Store(false)
	flush(t, pub)
	// Some of the oldest may be stored, too: those that the publisher had taken from the queue.
	lines := r.texts()
	same(t, "lines", numbered(more, publisher.DefaultBuffer+more), lines[max(0, len(lines)-publisher.DefaultBuffer):])
	if check := direct.StoreCheck(); !check.OK {
		t.Errorf("check %+v", check)
	}
	if dropped := (&running{registry: registry}); r.metric(dropped, "rosey_bus_dropped_total", "buffer_full") != more {
		t.Error("dropped messages are not counted")
	}
}

func TestDirectRunsMaintenance(t *testing.T) {
	r := newRig(t)
	direct := r.direct(func(o *database.DirectOptions) {
		o.Retention = store.Retention{Chat: time.Hour}
		database.WithRemovalGrace(&o.EngineOptions, 10*time.Millisecond)
		database.WithMaintenanceInterval(&o.EngineOptions, 10*time.Millisecond)
	})
	before := r.direct()
	stop := runDirect(t, before.RunOnDemand)
	pub := publisher.New(publisher.Options{Store: before, Log: natstest.Log(t)})
	runUntilEnd(t, pub.Run)
	for i := range 3 { // of long ago
		publishNumber(pub, i)
	}
	flush(t, pub)
	if lines := r.texts(); len(lines) != 3 {
		t.Fatalf("lines %q", lines)
	}
	stop()
	runDirect(t, direct.Run)
	natstest.Eventually(t, "old lines to be removed", func() bool { return len(r.texts()) == 0 })
}

// TestFallbackWithUnavailableDatabase expects both causes in the check, and the events stored later.
func TestFallbackWithUnavailableDatabase(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var back atomic.Bool
	direct := r.direct(func(o *database.DirectOptions) {
		o.Open = func(ctx context.Context) (store.Store, error) {
			if !back.Load() {
				return nil, errors.New("no route to the database")
			}
			return r.sqlite(ctx)
		}
	})
	runDirect(t, direct.RunOnDemand)
	conn, subjects := r.connect()
	pub := publisher.New(publisher.Options{
		Conn: conn, Subjects: subjects, Log: natstest.Log(t), Store: direct,
	})
	runUntilEnd(t, pub.Run)
	r.server.Stop()
	publishNumber(pub, 1)
	natstest.Eventually(t, "both causes", func() bool {
		check := pub.Check()
		return !check.OK && check.Reason == status.ReasonServiceAbsent &&
			strings.Contains(check.Message, "no connection to NATS") &&
			strings.Contains(check.Message, "cannot write to the database itself: opening the database: no route")
	})
	back.Store(true)
	flush(t, pub)
	same(t, "lines", numbered(1, 2), r.texts())
	if check := pub.Check(); !check.OK || check.Reason != status.ReasonDirect {
		t.Errorf("check %+v", check)
	}
}

// TestFallbackStoresEachLineOnce stops and starts NATS and the service while lines are published. The database is a
// file, so only one of the two routes is open at a time; with PostgreSQL they may overlap.
func TestFallbackStoresEachLineOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	direct := r.direct(database.WithIdleTimeout(100 * time.Millisecond))
	runDirect(t, direct.RunOnDemand)
	conn, subjects := r.connect()
	pub := publisher.New(publisher.Options{
		Conn: conn, Subjects: subjects, Log: natstest.Log(t), Store: direct,
	})
	runUntilEnd(t, pub.Run)
	both := database.Fallback{
		Service: bus.NewRequester(conn, subjects), Database: direct, Log: natstest.Log(t),
	}
	lines := 0
	publish := func(count int) {
		for range count {
			publishNumber(pub, lines)
			lines++
		}
	}
	publish(5)
	for range 2 {
		s := r.ready(r.start())
		publish(300)
		flush(t, pub)
		if check := pub.Check(); check.Reason != status.ReasonServiceAnswers {
			t.Errorf("check with a service: %+v", check)
		}
		r.requestAlice(both, lines)
		// Stored by the service without the knowledge of the publisher, which publishes it again.
		r.publish(bus.MessageLog, fmt.Sprintf(`{"username":"alice","message":"%d","timestamp":%.3f}`,
			lines, 1763700000+float64(lines)/1000), bus.MsgID(fmt.Sprintf("%012d", lines), bus.MessageLog))
		r.waitUntilStored()
		r.stop(s)
		r.server.Stop()
		publish(300)
		flush(t, pub)
		if check := pub.Check(); !check.OK || check.Reason != status.ReasonDirect {
			t.Errorf("check without NATS: %+v", check)
		}
		r.requestAlice(both, lines)
		r.server.Restart()
		publish(5)
		flush(t, pub) // NATS is available, the service is not
		natstest.Eventually(t, "the database is closed", func() bool {
			opened, err := sqlite.Open(t.Context(), r.path)
			return err == nil && opened.Close() == nil
		})
	}
	same(t, "lines", numbered(0, lines), r.texts())
}

func (r *rig) connect() (*bus.Conn, bus.Subjects) {
	r.t.Helper()
	conn, err := bus.Connect(r.t.Context(), bus.Options{URL: r.server.URL(), Log: natstest.Log(r.t)})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(conn.Close)
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		r.t.Fatal(err)
	}
	return conn, subjects
}

// askAlice asks how many lines she has.
func (r *rig) requestAlice(both database.Fallback, want int) {
	r.t.Helper()
	var reply bus.UserStatsReply
	err := both.Request(r.t.Context(), bus.QueryUserStats, bus.UserStatsRequest{Username: "alice"}, &reply)
	if err != nil || reply.TotalChatLines != want {
		r.t.Errorf("alice has %d lines, want %d; %v", reply.TotalChatLines, want, err)
	}
}

func TestDirectStoreThatWasCanceledIsNoFailureOfTheDatabase(t *testing.T) {
	direct := newRig(t).direct()
	before := direct.StoreCheck()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := direct.Store(ctx, []bus.Message{{Suffix: bus.UserJoined}}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if check := direct.StoreCheck(); check != before {
		t.Errorf("check %+v, want it unchanged: %+v", check, before)
	}
}

// While the disk is full, one can still read. That must not make the failure look as if it was over.
func TestAReadDoesNotHideThatStoringFails(t *testing.T) {
	r := newRig(t)
	full := &fullStore{}
	direct := r.direct(func(o *database.DirectOptions) {
		o.Open = func(ctx context.Context) (store.Store, error) {
			opened, err := r.sqlite(ctx)
			full.Store = opened
			return full, err
		}
	})
	runDirect(t, direct.Run)
	ctx := t.Context()
	if err := direct.Store(ctx, nil); err != nil { // opens it
		t.Fatal(err)
	}
	full.full.Store(true)
	pub := publisher.New(publisher.Options{Store: direct, Log: natstest.Log(t)})
	runUntilEnd(t, pub.Run)
	publishNumber(pub, 1)
	isFull := func() bool { return direct.StoreCheck().Reason == status.ReasonStoreFull }
	natstest.Eventually(t, "the reason", isFull)
	var reply bus.UserStatsReply
	if err := direct.Request(ctx, bus.QueryUserStats, bus.UserStatsRequest{Username: "alice"}, &reply); err != nil {
		t.Error(err)
	}
	if check := direct.StoreCheck(); check.OK {
		t.Errorf("after a request that only reads: %+v, want %s", check, status.ReasonStoreFull)
	}
	full.full.Store(false)
	flush(t, pub)
	if check := direct.StoreCheck(); !check.OK {
		t.Errorf("after the line was stored: %+v", check)
	}
}

// fullStore stores no events while its disk is full.
type fullStore struct {
	store.Store

	full atomic.Bool
}

func (s *fullStore) Apply(ctx context.Context, events []store.Event) error {
	if s.full.Load() {
		return store.ErrFull
	}
	return s.Store.Apply(ctx, events)
}

// Bringing the tables up to date may take longer than a request, for example while another program writes. If it ended
// with the request, each request would begin it anew, and none would ever be answered.
func TestOpeningSlowerThanARequestEnds(t *testing.T) {
	for name, run := range map[string]func(*database.Direct, context.Context) error{
		"direct mode": (*database.Direct).Run, "fallback": (*database.Direct).RunOnDemand,
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			var attempts atomic.Int32
			direct := r.direct(func(o *database.DirectOptions) {
				o.Open = func(ctx context.Context) (store.Store, error) {
					attempts.Add(1)
					return r.sqlite(ctx)
				}
			})
			unlock := r.lockForWriting()
			runDirect(t, func(ctx context.Context) error { return run(direct, ctx) })
			request := func(timeout time.Duration) error {
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				var reply bus.OutboundPutReply
				return direct.Request(ctx, bus.OutboundPut, bus.OutboundPutRequest{Message: "a line"}, &reply)
			}
			for range 3 {
				if err := request(10 * time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("a request while the database is locked: %v, want %v", err, context.DeadlineExceeded)
				}
			}
			unlock()
			natstest.Eventually(t, "the database to be opened", func() bool { return direct.StoreCheck().OK })
			if err := request(time.Minute); err != nil {
				t.Error(err)
			}
			if n := attempts.Load(); n != 1 {
				t.Errorf("the database was opened %d times, want 1", n)
			}
		})
	}
}

// lockForWriting holds the write lock of the new database until unlock is called.
func (r *rig) lockForWriting() (unlock func()) {
	r.t.Helper()
	db, err := sql.Open("sqlite", "file:"+r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	for _, statement := range []string{"PRAGMA journal_mode = WAL", "BEGIN IMMEDIATE"} {
		if _, err := db.ExecContext(r.t.Context(), statement); err != nil {
			r.t.Fatal(err)
		}
	}
	return func() {
		if err := db.Close(); err != nil {
			r.t.Error(err)
		}
	}
}

// A call that comes when nobody opens the database any more must not wait for its own deadline, which may be none.
func TestCallsAfterTheEndFail(t *testing.T) {
	direct := newRig(t).direct()
	runDirect(t, direct.RunOnDemand)()
	if err := direct.Store(t.Context(), []bus.Message{{Suffix: bus.UserJoined}}); err == nil {
		t.Error("stored after the database was closed")
	}
}

// "server" is a valid name of a user. Only the Python bot, which assigns no IDs, publishes messages of the server.
func TestLineOfAUserNamedServerIsStored(t *testing.T) {
	r := newRig(t)
	direct := r.direct()
	runDirect(t, direct.RunOnDemand)
	line := func(text string) []byte { return fmt.Appendf(nil, `{"username":"Server","message":%q}`, text) }
	ids := bus.NewIDs(time.Now())
	messages := []bus.Message{
		{Suffix: bus.MessageLog, Data: line("of Python")},
		{Suffix: bus.MessageLog, Data: line("of Python over a bridge"), ID: "an ID of another program"},
		{Suffix: bus.MessageLog, Data: line("hi"), ID: bus.MsgID(ids.Next(time.Now()), bus.MessageLog)},
	}
	if err := direct.Store(t.Context(), messages); err != nil {
		t.Fatal(err)
	}
	same(t, "lines", []string{"hi"}, r.texts())
}
