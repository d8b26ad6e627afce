package database_test

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	_ "modernc.org/sqlite" // to change claims behind the store's back

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/store"
)

// slowStore takes 20 ms for each batch of events.
type slowStore struct{ store.Store }

func (s slowStore) Apply(ctx context.Context, events []store.Event) error {
	time.Sleep(20 * time.Millisecond)
	return s.Store.Apply(ctx, events)
}

func (r *rig) slow(o *database.ServiceOptions) {
	o.Open = func(ctx context.Context) (store.Store, error) {
		opened, err := r.sqlite(ctx)
		return slowStore{opened}, err
	}
}

// expireClaims moves all claims into the past, as if five minutes had passed.
func (r *rig) expireClaims() {
	r.t.Helper()
	db, err := sql.Open("sqlite", "file:"+r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(r.t.Context(), `UPDATE outbound SET enqueued_at = enqueued_at - 300000,
		claimed_until = claimed_until - 300000, claimed_since = claimed_since - 300000`)
	if err != nil {
		r.t.Fatal(err)
	}
}

// publishToStream publishes an event with an ID to the stream.
func (r *rig) publishToStream(suffix bus.Suffix, id, body string) {
	r.t.Helper()
	r.publish(suffix, body, bus.MsgID(id, suffix))
}

// The service is down for five minutes. Meanwhile a bot sends 20 lines that it has claimed, reports 19 of them behind a
// backlog, and dies. The next bot sends what it is handed out: no line may be sent twice, and none may be lost.
func TestClaimsWaitForReportsInTheStream(t *testing.T) {
	t.Parallel()
	for _, claimant := range []string{"pod-a", "pod-b"} { // restarted, or replaced
		t.Run("claimant "+claimant, func(t *testing.T) {
			r := newStreamRig(t)
			s := r.startWithStream()
			said := map[int64]int{}
			const lines = 20
			for i := range lines {
				r.put(fmt.Sprintf(`{"message":"line %d"}`, i))
			}
			claimed := r.get(`{"claimant":"pod-a","limit":20}`)
			if len(claimed) != lines {
				t.Fatalf("%d lines claimed, want %d", len(claimed), lines)
			}
			r.stop(s)

			r.expireClaims()
			backlog := r.backlog(10_000)
			for i, line := range claimed[:lines-1] {
				said[line.ID]++
				r.publishToStream(bus.OutboundSent, fmt.Sprintf("sent-%d", i), fmt.Sprintf(
					`{"message_id":%d,"message_timestamp":%d,"timestamp":%d}`,
					line.ID, line.Timestamp-300, time.Now().Unix()))
			}
			r.waitUntilPublished(backlog + lines - 1)

			s = r.startWithStream(r.slow)
			fresh := r.put(`{"message":"new"}`).ID
			duringBacklog := false
			natstest.Within(t, 30*time.Second, "the unreported line and the new one to be handed out", func() bool {
				for _, line := range r.get(fmt.Sprintf(`{"claimant":%q,"limit":3}`, claimant)) {
					said[line.ID]++
					if line.ID == fresh && r.count(s, bus.OutboundSent, "stored") == 0 {
						duringBacklog = true
					}
					r.publish(bus.OutboundSent, fmt.Sprintf(`{"message_id":%d}`, line.ID))
				}
				return said[claimed[lines-1].ID] > 0 && said[fresh] > 0
			})
			r.waitUntilStreamStored()
			if !duringBacklog {
				t.Error("an unclaimed line waited for the backlog")
			}
			for id, times := range said {
				if times != 1 {
					t.Errorf("line %d was sent %d times", id, times)
				}
			}
			same(t, "due in the end", []string(nil), outboundTexts(r.get(`{"max_retries":100}`)))
		})
	}
}

// backlog publishes chat lines to the stream and returns their number.
func (r *rig) backlog(lines int) uint64 {
	r.t.Helper()
	for i := range lines {
		r.publishToStream(bus.MessageLog, fmt.Sprintf("%012x", i), fmt.Sprintf(
			`{"username":"alice","message":"%d","timestamp":%d}`, i, 1763700000+i))
	}
	return uint64(lines)
}

// In a busy channel there is always an event that is not stored yet.
func TestExpiredClaimsInABusyChannel(t *testing.T) {
	r := newStreamRig(t)
	s := r.startWithStream(r.slow)
	id := r.put(`{"message":"claimed and never reported"}`).ID
	if got := r.get(`{"claimant":"pod-a"}`); len(got) != 1 {
		t.Fatalf("claimed %+v", got)
	}
	r.stop(s)
	r.expireClaims()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	busy := make(chan struct{})
	go func() {
		defer close(busy)
		js, _ := jetstream.New(r.client)
		for i := 0; ctx.Err() == nil; i++ {
			_, _ = js.PublishAsync("rosey.db.message.log", fmt.Appendf(nil, `{"username":"alice","message":"%d"}`, i))
			time.Sleep(time.Millisecond)
		}
	}()
	r.startWithStream(r.slow)
	natstest.Eventually(t, "the line to be handed out", func() bool {
		return slices.ContainsFunc(r.get(`{"claimant":"pod-b"}`), func(m bus.OutboundMessage) bool { return m.ID == id })
	})
	stop()
	<-busy
}

// A bot that writes to the database itself cannot know which reports are in the stream.
func TestFallbackDoesNotHandOutClaimedLines(t *testing.T) {
	r := newRig(t)
	direct := r.direct(func(o *database.DirectOptions) { o.ReportsInStream = true })
	runDirect(t, direct.RunOnDemand)
	ctx := t.Context()
	if err := direct.Store(ctx, nil); err != nil { // opens the database, which on a slow disk takes longer than a request
		t.Fatal(err)
	}
	texts := func() []string {
		var got []bus.OutboundMessage
		if err := direct.Request(ctx, bus.OutboundGet, bus.OutboundGetRequest{Claimant: "pod-a"}, &got); err != nil {
			t.Fatal(err)
		}
		return outboundTexts(got)
	}
	put := func(text string) {
		var reply bus.OutboundPutReply
		if err := direct.Request(ctx, bus.OutboundPut, bus.OutboundPutRequest{Message: text}, &reply); err != nil {
			t.Fatal(err)
		}
	}
	put("first")
	same(t, "unclaimed", []string{"first"}, texts())
	r.expireClaims()
	put("second")
	same(t, "after one was claimed", []string{"second"}, texts())
}
