package database_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/status"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// from has a service say where its database comes from: RoseyBot films/movienight, on the only claim, made at a time.
func from(pvcCreated time.Time, change ...func(*database.Provenance)) func(*database.ServiceOptions) {
	provenance := database.Provenance{
		Kind: database.SQLite, RoseyBot: "films/movienight", NamespaceUID: "uid", PVCCreated: pvcCreated,
		OnlyPVC: true,
	}
	for _, one := range change {
		one(&provenance)
	}
	return func(o *database.ServiceOptions) { o.Provenance = func() database.Provenance { return provenance } }
}

// requested has the service take over the stream of a database.
func requested(value string) func(*database.Provenance) {
	return func(o *database.Provenance) { o.Kind, o.TakeOver = database.Postgres, value }
}

// soon makes the waiting for a takeover short.
var soon = database.WithTakeover(time.Second, 300*time.Millisecond)

func (r *rig) identity() string {
	r.t.Helper()
	id, err := r.openReadOnly().Identity(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return id
}

// lost returns the rig of a database whose service has stored a line and is gone, with another line in the stream, and
// the rig of a new database on the same server.
func lost(t *testing.T) (old, next *rig) {
	t.Helper()
	old = newStreamRig(t)
	s := old.startWithStream(from(time.Now().Add(-time.Hour)))
	old.publishChat("stored")
	old.waitUntilStreamStored()
	old.stop(s)
	old.publishChat("waiting")
	return old, newRigOn(t, old.server)
}

func (r *rig) conflict(s *running, words ...string) {
	r.t.Helper()
	natstest.Eventually(r.t, fmt.Sprintf("a conflict with %q", words), func() bool {
		check := s.EventsCheck()
		for _, one := range words {
			if !strings.Contains(check.Message, one) {
				return false
			}
		}
		return !check.OK && check.Reason == status.ReasonSubjectConflict
	})
}

// Delete with retainPolicy Delete, and apply again: what was stored stays deleted, what waits is not lost.
func TestNewClaimTakesOverTheStream(t *testing.T) {
	old, next := lost(t)
	s := next.start(next.withStream, from(time.Now().Add(time.Hour)), soon)
	next.conflict(s, old.identity()+" (SQLite of RoseyBot films/movienight), last active 2", "it is taken over at 2")
	natstest.Eventually(t, "the takeover", func() bool { return s.EventsCheck().OK && s.NATSCheck().OK })
	next.publishChat("new")
	next.waitUntilStreamStored()
	same(t, "lines", []string{"waiting", "new"}, next.texts())
	// The old database may still come back from a backup.
	back := old.start(old.withStream, from(time.Now().Add(-time.Hour)), soon)
	old.conflict(back, "consumes them now")
	same(t, "lines of the old database", []string{"stored"}, old.texts())
}

// A service that runs, however little it has to do, keeps its stream.
func TestStreamInUseIsNotTakenOver(t *testing.T) {
	old := newStreamRig(t)
	old.startWithStream(from(time.Now().Add(-time.Hour)))
	next := newRigOn(t, old.server)
	s := next.start(next.withStream, from(time.Now().Add(time.Hour), requested(old.identity())),
		database.WithTakeover(time.Millisecond, time.Millisecond))
	next.conflict(s, "stop one of the two")
	old.publishChat("a")
	old.waitUntilStreamStored()
	same(t, "lines", []string{"a"}, old.texts())
	next.conflict(s, "stop one of the two")
}

func TestTakesOverWhenTold(t *testing.T) {
	t.Parallel()
	for suffix, want := range map[string][]string{"": {"waiting", "new"}, "+replay": {"stored", "waiting", "new"}} {
		t.Run("ID"+suffix, func(t *testing.T) {
			old, next := lost(t)
			s := next.start(next.withStream, from(time.Time{}, requested(old.identity()+suffix)), soon)
			natstest.Eventually(t, "the takeover", func() bool { return s.EventsCheck().OK && s.NATSCheck().OK })
			next.publishChat("new")
			next.waitUntilStreamStored()
			same(t, "lines", want, next.texts())
			next.stop(s)
			// The same instruction again does nothing.
			s = next.startWithStream(from(time.Time{}, requested(old.identity()+suffix)), soon)
			next.waitUntilStreamStored()
			same(t, "lines", want, next.texts())
		})
	}
}

// The consumer is gone, and with it how far was stored.
func TestStreamWithoutConsumerIsTakenOverWithReplayOnly(t *testing.T) {
	old, next := lost(t)
	js, err := jetstream.New(old.client)
	if err != nil {
		t.Fatal(err)
	}
	if err := js.DeleteConsumer(t.Context(), "rosey_events", "rosey_db"); err != nil {
		t.Fatal(err)
	}
	s := next.start(next.withStream, from(time.Now().Add(time.Hour)), soon)
	next.conflict(s, "take-over="+old.identity())
	next.stop(s)
	s = next.start(next.withStream, from(time.Time{}, requested(old.identity()+"+replay")), soon)
	natstest.Eventually(t, "the takeover", func() bool { return s.EventsCheck().OK && s.NATSCheck().OK })
	next.waitUntilStreamStored()
	same(t, "lines", []string{"stored", "waiting"}, next.texts())
}

// A service that was paused while another one took over stops consuming.
func TestServiceStopsWhenAnotherTakesOver(t *testing.T) {
	t.Parallel()
	r := newStreamRig(t)
	s := r.startWithStream()
	js, err := jetstream.New(r.client)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "rosey_events")
	if err != nil {
		t.Fatal(err)
	}
	consumer, err := stream.Consumer(t.Context(), "rosey_db")
	if err != nil {
		t.Fatal(err)
	}
	taken := consumer.CachedInfo().Config
	taken.Metadata = map[string]string{"rosey.dev/database": "another"}
	if _, err := stream.UpdateConsumer(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	natstest.Within(t, 30*time.Second, "the conflict", func() bool {
		return s.EventsCheck().Reason == status.ReasonSubjectConflict
	})
}

// restoreEarlier replaces the database by a backup that lacks 700 lines, which it returns, and which the stream has.
func (r *rig) restoreEarlier() (missing []string) {
	r.t.Helper()
	s := r.startWithStream()
	r.publishChat("before")
	r.waitUntilStreamStored()
	r.stop(s)
	s = r.startWithStream() // which records how far it is
	r.stop(s)
	backup := r.path + ".backup"
	if _, err := sqlite.Backup(r.t.Context(), r.path, backup); err != nil {
		r.t.Fatal(err)
	}
	s = r.startWithStream()
	missing = numberedTexts(700)
	for _, text := range missing {
		r.publishChat(text)
	}
	r.waitUntilStreamStored()
	r.stop(s)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(r.path + suffix)
	}
	if _, err := sqlite.Restore(r.t.Context(), backup, r.path); err != nil {
		r.t.Fatal(err)
	}
	same(r.t, "restored lines", []string{"before"}, r.texts())
	return missing
}

// After a restore the events since the backup come from the stream once more.
func TestRestoredBackupIsBroughtUpToDate(t *testing.T) {
	r := newStreamRig(t)
	missing := r.restoreEarlier()
	r.startWithStream()
	r.publishChat("after")
	r.waitUntilStreamStored()
	same(t, "lines", append(append([]string{"before"}, missing...), "after"), r.texts())
}

// A service that may not read events again must not count them as stored: it does so once it may.
func TestEventsThatMayNotBeReadAgainAreReadLater(t *testing.T) {
	r := newStreamRig(t)
	missing := r.restoreEarlier()
	allowed := func(denied ...string) func(*server.Options) {
		return func(o *server.Options) {
			o.Users = []*server.User{{Username: "few", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Deny: denied},
			}}}
			o.NoAuthUser = "few"
		}
	}
	r.server.Restart(allowed("$JS.API.STREAM.MSG.GET.>"))
	s := r.start(r.withStream)
	natstest.Eventually(t, "the missing permission to be named", func() bool {
		check := s.EventsCheck()
		return !check.OK && check.Reason == status.ReasonNATSPermissionMissing &&
			strings.Contains(check.Message, `may not publish to "$JS.API.STREAM.MSG.GET.rosey_events"`)
	})
	natstest.Eventually(t, "the service to be ready", func() bool { return s.NATSCheck().OK })
	r.publishChat("after")
	r.waitUntilStreamStored()
	if lines := len(r.lines()); lines > 10 {
		t.Fatalf("%d lines, expected those before the backup and the new ones", lines)
	}
	r.stop(s)
	s = r.start(r.withStream)
	r.server.Restart(allowed())
	natstest.Eventually(t, "the missing lines to be stored", func() bool {
		return s.EventsCheck().OK && len(r.lines()) >= len(missing)+2
	})
	texts := r.texts()
	for _, text := range missing {
		if !slices.Contains(texts, text) {
			t.Fatalf("%q is missing", text)
		}
	}
}

// What the database records is only as far as it has stored.
func TestRecordedPositionIsTheFloor(t *testing.T) {
	r := newStreamRig(t)
	r.stop(r.startWithStream())
	r.publishChat("waiting")
	r.waitUntilPublished(1)
	position, found, err := r.openReadOnly().StreamPosition(t.Context(), "rosey_events")
	if err != nil || !found || position.Sequence != 0 {
		t.Errorf("%+v, found %t, %v", position, found, err)
	}
}
