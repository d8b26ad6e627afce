package database_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/store"
)

// retentionRig runs one service after the other with a retention of chat.
type retentionRig struct {
	*rig

	log   bytes.Buffer // of the service that runs, which must have ended before it is read
	grace time.Duration
}

// removed returns how many lines a service with a retention removes, and what it logs about that.
func (r *retentionRig) removed(chat time.Duration) (lines int64, warning string, pending float64) {
	r.t.Helper()
	r.log.Reset()
	s := r.ready(r.start(func(o *database.ServiceOptions) {
		o.Retention = store.Retention{Chat: chat}
		o.Log = slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		database.WithRemovalGrace(&o.EngineOptions, r.grace)
	}))
	for range 2 { // one log line is enough
		reply := r.maintain()
		if !reply.Success {
			r.t.Errorf("maintenance: %+v", reply)
		}
		lines += reply.Removed.Chat
	}
	pending = r.metric(s, "rosey_database_announced_removal_rows", "chat")
	r.stop(s)
	return lines, r.log.String(), pending
}

func (r *retentionRig) expect(what string, chat time.Duration, lines int64, pending float64) {
	r.t.Helper()
	got, warning, waiting := r.removed(chat)
	if got != lines || waiting != pending {
		r.t.Errorf("%s: %d lines were removed and %v wait, want %d and %v", what, got, waiting, lines, pending)
	}
	if logged := strings.Count(warning, "database.retention.chat"); logged != min(1, int(pending)) {
		r.t.Errorf("%s: logged %d times: %s", what, logged, warning)
	}
}

// A retention that was shortened by mistake must not remove years within minutes, whatever restarts in between.
func TestAShortenedRetentionRemovesNothingAtOnce(t *testing.T) {
	const forever, day = -1, 24 * time.Hour
	r := &retentionRig{rig: newRig(t), grace: time.Hour}
	s := r.ready(r.start(func(o *database.ServiceOptions) { o.Retention = store.Retention{Chat: forever} }))
	for age, text := range map[int]string{900: "years old", 40: "older", 20: "newer", 0: "new"} {
		r.publishChatAt(text, time.Now().Add(-time.Duration(age)*day-time.Hour))
	}
	r.waitUntilStored()
	r.stop(s)

	r.expect("forever", forever, 0, 0)
	r.expect("shortened", 30*day, 0, 2)
	r.expect("after a restart", 30*day, 0, 2)
	r.expect("longer than announced", 35*day, 0, 2)
	r.expect("taken back", forever, 0, 0)
	if left, err := r.openReadOnly().Removals(t.Context(), ""); err != nil || len(left) != 0 {
		t.Errorf("announced after it was taken back: %+v, %v", left, err)
	}
	r.expect("shortened again", 30*day, 0, 2) // what was announced before does not count
	r.grace = time.Nanosecond
	r.expect("after the grace", 30*day, 2, 0)
	r.grace = time.Hour
	r.expect("afterwards", 30*day, 0, 0)
	r.expect("shorter by less than a day", 20*day+2*time.Hour, 0, 0)
	r.expect("what a day brings", 20*day+time.Minute, 1, 0)
	same(t, "lines", []string{"new"}, r.texts())
}

// When the grace has passed, a restart does not begin it anew, and a shorter retention does.
func TestTheGraceOfARemovalBelongsToItsRetention(t *testing.T) {
	const day = 24 * time.Hour
	r := &retentionRig{rig: newRig(t), grace: time.Hour}
	s := r.ready(r.start(func(o *database.ServiceOptions) { o.Retention = store.Retention{Chat: -1} }))
	for _, age := range []time.Duration{40 * day, 20 * day} {
		r.publishChatAt("old", time.Now().Add(-age))
	}
	r.waitUntilStored()
	r.stop(s)
	r.expect("announced", 30*day, 0, 1)
	r.changeAnnouncement(func(removal *store.Removal) { removal.AnnouncedAt = time.Now().Add(-2 * time.Hour) })
	r.expect("shorter than announced", 10*day, 0, 2)
	r.changeAnnouncement(func(removal *store.Removal) { removal.AnnouncedAt = time.Now().Add(48 * time.Hour) })
	r.expect("announced with a wrong clock", 10*day, 0, 2)
	r.changeAnnouncement(func(removal *store.Removal) { removal.AnnouncedAt = time.Now().Add(-2 * time.Hour) })
	r.expect("after the grace", 10*day, 2, 0)
}

func (r *retentionRig) changeAnnouncement(change func(*store.Removal)) {
	r.t.Helper()
	opened, err := r.sqlite(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	removals, err := opened.Removals(r.t.Context(), "")
	if err != nil || len(removals) != 1 {
		r.t.Fatalf("announced: %+v, %v; want one", removals, err)
	}
	change(&removals[0])
	if err := opened.AnnounceRemoval(r.t.Context(), removals[0]); err != nil {
		r.t.Error(err)
	}
	if err := opened.Close(); err != nil {
		r.t.Error(err)
	}
}

// Keys and dead letters have a fixed time, which nobody shortens by mistake.
func TestWhatHasNoRetentionNeedsNoAnnouncement(t *testing.T) {
	r := newRig(t)
	opened, err := r.sqlite(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	old := store.NewDeadLetter(string(bus.MessageLog), "", "a reason", nil, time.Now().Add(-1000*time.Hour))
	if _, err := opened.AddDeadLetters(t.Context(), []store.DeadLetter{old}, store.DeadLetterQuota{}); err != nil {
		t.Fatal(err)
	}
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
	r.ready(r.start())
	same(t, "removed", bus.MaintenanceRemoved{DeadLetters: 1}, r.maintain().Removed)
}
