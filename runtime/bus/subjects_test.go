package bus_test

import (
	"strings"
	"testing"

	"rosey.dev/rosey/runtime/bus"
)

func TestNewSubjects(t *testing.T) {
	for prefix, good := range map[string]bool{
		"rosey": true, "rosey_films_movienight": true, "r-1": true, "9": true, strings.Repeat("a", 128): true,
		"": false, "a.b": false, "a*": false, ">": false, "a b": false, "$JS": false, "_INBOX": false, "a\tb": false,
		"-a": false, "a/b": false, "kinö": false, "a\n": false, strings.Repeat("a", 129): false,
	} {
		_, err := bus.NewSubjects(prefix)
		if (err == nil) != good {
			t.Errorf("NewSubjects(%q): error %v, want good = %v", prefix, err, good)
		}
	}
}

func TestSubjectAndBack(t *testing.T) {
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		t.Fatal(err)
	}
	if got := subjects.Subject(bus.OutboundSent); got != "rosey.db.messages.outbound.mark_sent" {
		t.Errorf("Subject = %q", got)
	}
	if suffix, ok := subjects.Suffix("rosey.db.user.joined"); !ok || suffix != bus.UserJoined {
		t.Errorf("Suffix = %q, %v", suffix, ok)
	}
	if suffix, ok := subjects.Suffix("rosey2.db.user.joined"); ok {
		t.Errorf("another prefix's subject gave %q", suffix)
	}
	if got := subjects.QueueGroup(); got != "rosey_db" {
		t.Errorf("QueueGroup = %q", got)
	}
}

func TestInboxPrefixesAreInboxesAndDiffer(t *testing.T) {
	seen := map[string]bool{}
	for _, prefix := range []string{"rosey", "rosey_bot", "rosey_db", "rosey_cli"} {
		subjects, err := bus.NewSubjects(prefix)
		if err != nil {
			t.Fatal(err)
		}
		for _, role := range []bus.Role{bus.BotRole, bus.ServiceRole, bus.CLIRole, bus.AdminRole} {
			inbox := subjects.InboxPrefix(role)
			if seen[inbox] || !bus.IsInbox(inbox+".x") {
				t.Errorf("%s, %s: %s is another's, or no inbox", prefix, role, inbox)
			}
			seen[inbox] = true
		}
	}
}

func TestIsInbox(t *testing.T) {
	for subject, inbox := range map[string]bool{
		"_INBOX.a": true, "_INBOX.a.b": true, "_INBOX_rosey_bot.a.b": true, "_R_.a.b": true,
		"_GR_.cluster.server._INBOX.a": true, "_GR_.cluster.server._R_.a.b": true,
		"": false, "_INBOX": false, "_INBOX.": false, "_INBOXES.a": false, "_INBOX.>": false, "_INBOX.*": false,
		"_R_": false, "_R_x.a": false, "_GR_.a": false, "_GR_.a.b.": false,
		"_GR_.cluster.server.rosey.db.message.log": false, "x._INBOX.a": false, "_inbox.a": false,
		"rosey.db.message.log": false, "$JS.API.STREAM.PURGE.rosey_events": false, "$KV.rosey_locks.leader": false,
	} {
		if got := bus.IsInbox(subject); got != inbox {
			t.Errorf("IsInbox(%q) = %v", subject, got)
		}
	}
}

func TestNamesOfNATSObjects(t *testing.T) {
	plain, err := bus.NewSubjects("rosey_films_movienight")
	if err != nil {
		t.Fatal(err)
	}
	if got := plain.StreamName(); got != "rosey_films_movienight_events" {
		t.Errorf("stream is %q", got)
	}
	if got := plain.ConsumerName(); got != "rosey_films_movienight_db" {
		t.Errorf("consumer is %q", got)
	}
	if got := plain.LockBucket(); got != "rosey_films_movienight_locks" {
		t.Errorf("bucket is %q", got)
	}
}

func TestSubjectsOfStreams(t *testing.T) {
	t.Parallel()
	subjects := roseySubjects(t)
	if got, ok := bus.SubjectsOfStream(subjects.StreamName()); !ok || got != subjects {
		t.Errorf("%v, %t", got, ok)
	}
	if got, ok := bus.SubjectsOfLockStream(subjects.LockStream()); !ok || got != subjects {
		t.Errorf("%v, %t", got, ok)
	}
	for _, name := range []string{"", "_events", "rosey", "rosey_locks", "KV_rosey_locks", "a.b_events"} {
		if got, ok := bus.SubjectsOfStream(name); ok {
			t.Errorf("stream %q: %v", name, got)
		}
	}
	for _, name := range []string{"", "KV__locks", "KV_rosey", "rosey_locks", "rosey_events"} {
		if got, ok := bus.SubjectsOfLockStream(name); ok {
			t.Errorf("bucket %q: %v", name, got)
		}
	}
}
