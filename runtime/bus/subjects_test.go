package bus_test

import (
	"regexp"
	"testing"

	"rosey.dev/rosey/runtime/bus"
)

func TestNewSubjects(t *testing.T) {
	for prefix, good := range map[string]bool{
		"rosey": true, "rosey_films_movienight": true, "r-1": true,
		"": false, "a.b": false, "a*": false, ">": false, "a b": false, "$JS": false, "_INBOX": false, "a\tb": false,
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

func TestNamesOfNATSObjects(t *testing.T) {
	plain, err := bus.NewSubjects("rosey_films_movienight")
	if err != nil {
		t.Fatal(err)
	}
	if got := plain.StreamName(); got != "rosey_films_movienight_events" {
		t.Errorf("stream is %q", got)
	}
	seen := map[string]bool{}
	for _, prefix := range []string{"kino/1", "kino-1", "kino:1", "kinö1"} {
		subjects, err := bus.NewSubjects(prefix)
		if err != nil {
			t.Fatal(err)
		}
		name := subjects.LockBucket()
		if !regexp.MustCompile(`^[A-Za-z0-9_-]+$`).MatchString(name) || seen[name] {
			t.Errorf("prefix %q: bucket %q is another's or not a name for one", prefix, name)
		}
		seen[name] = true
	}
}
