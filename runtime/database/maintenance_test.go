package database_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store"
)

func (r *rig) publishChatAt(text string, at time.Time) {
	r.publish(bus.MessageLog, fmt.Sprintf(`{"username":"alice","message":%q,"timestamp":%d}`, text, at.Unix()))
}

func (r *rig) maintain() (reply bus.MaintenanceReply) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(r.request(bus.MaintenanceRun, ``)), &reply); err != nil {
		r.t.Fatal(err)
	}
	return reply
}

func TestMaintenanceOnRequest(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start(func(o *database.ServiceOptions) { o.Retention = store.Retention{UserCounts: 2 * time.Hour} }))
	now := time.Now()
	for i := range 1200 { // several steps
		r.publishChatAt(fmt.Sprint(i), now.Add(-151*time.Hour+time.Duration(i)*time.Second))
	}
	r.publishChatAt("new", now.Add(-149*time.Hour))
	for _, hours := range []int{1, 3} {
		r.publish(bus.StatsUserCount, fmt.Sprintf(`{"chat_count":%d,"timestamp":%d}`,
			hours, now.Add(-time.Duration(hours)*time.Hour).Unix()))
	}
	for i := range 2 {
		id := r.put(`{"message":"hi"}`).ID
		r.publish(bus.OutboundSent, fmt.Sprintf(`{"message_id":%d,"timestamp":%d}`,
			id, now.Add(-time.Duration(167+2*i)*time.Hour).Unix()))
	}
	reply := r.maintain()
	if !reply.Success || reply.Error != "" {
		t.Errorf("%+v, want success", reply)
	}
	same(t, "removed", bus.MaintenanceRemoved{Chat: 1200, UserCounts: 1, Outbound: 1}, reply.Removed)
	same(t, "lines", []string{"new"}, r.texts())
	same(t, "removed again", bus.MaintenanceRemoved{}, r.maintain().Removed)
	same(t, "rows counted", 1200.0, r.metric(s, "rosey_database_pruned_rows_total", "chat"))
	same(t, "runs counted", 2.0, r.metric(s, "rosey_database_maintenance_runs_total", "done"))
	if size := r.metric(s, "rosey_database_store_bytes"); size < 10_000 {
		t.Errorf("size of the store: %v bytes", size)
	}
}

func TestPeopleWhoDoNotComeBackAreRemoved(t *testing.T) {
	r := newRig(t)
	r.ready(r.start(func(o *database.ServiceOptions) { o.Retention = store.Retention{People: 48 * time.Hour} }))
	event := func(suffix bus.Suffix, name string, hours int) {
		at := time.Now().Add(-time.Duration(hours) * time.Hour)
		r.publish(suffix, fmt.Sprintf(`{"username":%q,"timestamp":%d}`, name, at.Unix()))
	}
	for i := range 600 { // several steps
		event(bus.UserJoined, fmt.Sprint("gone", i), 51)
		event(bus.UserLeft, fmt.Sprint("gone", i), 50)
	}
	event(bus.UserJoined, "here", 60)
	event(bus.UserLeft, "recent", 47)
	r.waitUntilStored()
	same(t, "removed", bus.MaintenanceRemoved{People: 1800}, r.maintain().Removed)
	event(bus.UserJoined, "gone1", 51) // delivered again
	r.waitUntilStored()
	if rows := r.describeRows(); rows != "user 'here' 0 open; user 'recent' 0" {
		t.Errorf("rows %.200s", rows)
	}
}

// With a stay of a bot that begins in the future, everybody would be absent, and removed in time.
func TestNobodyIsAbsentBecauseOfAFutureWatch(t *testing.T) {
	r := newRig(t)
	r.ready(r.start(func(o *database.ServiceOptions) { o.Retention = store.Retention{People: 48 * time.Hour} }))
	joined := time.Now().Add(-60 * time.Hour).Unix()
	r.publish(bus.UserJoined, fmt.Sprintf(`{"username":"alice","timestamp":%d}`, joined))
	for at, since := range map[int64]int64{joined: joined, joined + 60: time.Now().Add(time.Hour).Unix()} {
		r.publish(bus.StatusUpdate,
			fmt.Sprintf(`{"timestamp":%d,"status_data":{"bot_rank":1,"watching_since":%d}}`, at, since))
	}
	r.waitUntilStored()
	same(t, "removed", bus.MaintenanceRemoved{}, r.maintain().Removed)
	if rows := r.describeRows(); !strings.Contains(rows, "user 'alice' 0 open") {
		t.Errorf("rows %s", rows)
	}
}

func TestMaintenanceAtIntervals(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start(func(o *database.ServiceOptions) {
		database.WithMaintenanceInterval(&o.EngineOptions, 10*time.Millisecond)
	}))
	r.publishChatAt("old", time.Now().Add(-151*time.Hour))
	r.waitUntilStored()
	natstest.Eventually(t, "the line to be removed", func() bool { return len(r.lines()) == 0 })
	// CyTube may repeat the line later.
	r.publishChatAt("old", time.Now().Add(-152*time.Hour))
	r.waitUntilStored()
	same(t, "lines counted", 1, mustQuery(r, r.openReadOnly().TopChatters)(t.Context(), movies, 1)[0].Lines)
	r.stop(s)
}

// failingMaintenance is a store whose Prune fails.
type failingMaintenance struct{ store.Store }

func (failingMaintenance) Prune(context.Context, store.PruneRule, int) (int64, error) {
	return 0, errors.New("malformed")
}

func TestMaintenanceFailure(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start(func(o *database.ServiceOptions) {
		o.Open = func(ctx context.Context) (store.Store, error) {
			opened, err := r.sqlite(ctx)
			return failingMaintenance{opened}, err
		}
	}))
	if reply := r.maintain(); reply.Success || reply.Error == "" {
		t.Errorf("%+v, want an error", reply)
	}
	if failed := r.metric(s, "rosey_database_maintenance_runs_total", "failed"); failed < 1 {
		t.Errorf("%v failures counted", failed)
	}
	r.waitUntilStored()
}

func TestRetryDeadLetter(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start())
	if size := r.metric(s, "rosey_database_store_bytes"); size < 10_000 {
		t.Errorf("size of the store before maintenance: %v bytes", size)
	}
	r.publish(bus.MessageLog, `{"username":"alice"`, "1/db.message.log")
	r.publish(bus.MessageLog, `{"username":"alice"`, "1/db.message.log") // published again, not confirmed
	r.publish(bus.StatusUpdate, `{"status_data":{"bot_name":["a"]}}`)
	r.waitUntilStored()
	r.stop(s)
	direct := r.direct()
	runDirect(t, direct.RunOnDemand)
	listed := r.listDead(direct)
	if len(listed) != 2 || listed[0].Subject != "db.message.log" || listed[0].Payload != `{"username":"alice"` ||
		!strings.Contains(listed[1].Reason, "bot_name") {
		t.Fatalf("dead letters: %+v", listed)
	}
	if reply := r.retryDead(direct, listed...); len(reply.Failed) != 2 || len(reply.Changed) != 0 {
		t.Errorf("retried what cannot be decoded: %+v", reply)
	}
	if reply := r.retryDead(direct, bus.DeadLetter{ID: 4711}); !strings.Contains(fmt.Sprint(reply.Failed), "not found") {
		t.Errorf("an unknown ID: %+v", reply)
	}
}

// What a later version can decode is stored, unless a part of it is missing.
func TestRetryDeadLetterThatCanBeDecodedNow(t *testing.T) {
	r := newRig(t)
	whole := store.NewDeadLetter(string(bus.StatusUpdate), "", "a reason", []byte(`{"status_data":{"bot_name":"a"}}`),
		time.Now())
	cut := whole
	cut.Size++
	r.addDeadLetters(whole, cut)
	direct := r.direct()
	runDirect(t, direct.RunOnDemand)
	reply := r.retryDead(direct, r.listDead(direct)...)
	if len(reply.Changed) != 1 || len(reply.Failed) != 1 || !strings.Contains(reply.Failed[0].Error, "kept") {
		t.Errorf("retried: %+v, want one stored, and one that is truncated", reply)
	}
	fields, err := r.openReadOnly().Status(t.Context(), movies)
	if err != nil || string(fields["bot_name"]) != `"a"` {
		t.Errorf("status: %s, %v", fields, err)
	}
	if left := r.listDead(direct); len(left) != 1 || left[0].Size != cut.Size {
		t.Errorf("dead letters %+v; want only the truncated one", left)
	}
}

func (r *rig) listDead(direct *database.Direct) []bus.DeadLetter {
	r.t.Helper()
	var reply bus.DeadListReply
	err := direct.Request(r.t.Context(), bus.DeadList, bus.DeadListRequest{}, &reply)
	if err != nil || !reply.Success {
		r.t.Fatalf("listing dead letters: %+v, %v", reply, err)
	}
	return reply.DeadLetters
}

func (r *rig) retryDead(direct *database.Direct, deadLetters ...bus.DeadLetter) (reply bus.DeadChangeReply) {
	r.t.Helper()
	var ids []int64
	for _, deadLetter := range deadLetters {
		ids = append(ids, deadLetter.ID)
	}
	if err := direct.Request(r.t.Context(), bus.DeadRetry, bus.DeadChangeRequest{IDs: ids}, &reply); err != nil {
		r.t.Fatal(err)
	}
	return reply
}

// TestADeadLetterOfAUserNamedServerIsStored retries a line of a person, and one without an event ID, which is the
// Python bot's own.
func TestADeadLetterOfAUserNamedServerIsStored(t *testing.T) {
	r := newRig(t)
	line := []byte(`{"username":"Server","message":"hi"}`)
	r.addDeadLetters(
		store.NewDeadLetter(string(bus.MessageLog), bus.MsgID("1", bus.MessageLog), "a reason", line, time.Now()),
		store.NewDeadLetter(string(bus.MessageLog), "", "a reason", line, time.Now()),
	)
	direct := r.direct()
	runDirect(t, direct.RunOnDemand)
	if reply := r.retryDead(direct, r.listDead(direct)...); len(reply.Changed) != 2 {
		t.Errorf("retried: %+v", reply)
	}
	lines, err := r.openReadOnly().RecentChat(t.Context(), movies, 10)
	if err != nil || len(lines) != 1 || lines[0].Username != "Server" {
		t.Errorf("lines %+v, %v", lines, err)
	}
}

// The Python bot publishes each event twice.
func TestMessagesWithoutIDsAreDeduplicated(t *testing.T) {
	r := newRig(t)
	s := r.ready(r.start())
	for range 2 {
		r.publish(bus.UserJoined, `{"username":"alice"}`)
	}
	for range 2 {
		r.publish(bus.MessageLog, `{"username":"alice","message":"hi"}`)
	}
	r.publish(bus.MessageLog, `{"username":"bob","message":"hi"}`)
	r.publish(bus.MessageLog, `{"username":"alice","message":"hi"}`, "1/db.message.log") // has an id: another line
	r.publish(bus.UserLeft, `{"username":"alice"}`)
	r.publish(bus.UserJoined, `{"username":"alice"}`)
	for range 2 {
		r.publish(bus.UserLeft, `{"username":"alice"}`)
		r.publish(bus.StatsHighWater, `{"chat_count":1,"connected_count":1}`)
	}
	r.waitUntilStored()
	rows := r.describeRows()
	if strings.Count(rows, "chat alice: hi") != 2 || !strings.Contains(rows, "user 'alice' 2; user 'bob' 1") {
		t.Errorf("the database has %q, want two lines of alice and no open session", rows)
	}
	for suffix, want := range map[bus.Suffix]float64{
		bus.UserJoined: 1, bus.MessageLog: 1, bus.UserLeft: 1, bus.StatsHighWater: 1,
	} {
		same(t, "repeated "+string(suffix), want, r.count(s, suffix, "repeated"))
	}
}

func TestStoreErrorsHaveReasons(t *testing.T) {
	for reason, trouble := range map[status.Reason]error{
		status.ReasonStoreFull:        fmt.Errorf("writing: %w", store.ErrFull),
		status.ReasonStoreNewer:       fmt.Errorf("opening: %w", store.ErrNewerSchema),
		status.ReasonStoreUnavailable: errors.New("read-only file system"),
	} {
		r := newRig(t)
		s := r.start(func(o *database.ServiceOptions) {
			o.Open = func(context.Context) (store.Store, error) { return nil, trouble }
		})
		natstest.Eventually(t, string(reason), func() bool {
			check := s.StoreCheck()
			return !check.OK && check.Reason == reason && strings.Contains(check.Message, trouble.Error())
		})
		r.stop(s)
	}
}
