package database

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// abandoned returns the conflict of a RoseyBot whose claim was deleted and made again: its old service is away for long
// enough.
func abandoned() conflict {
	acknowledged := began.Add(time.Hour)
	return conflict{
		stream: "rosey_events", created: began,
		current: owner{"old", Provenance{Kind: SQLite, RoseyBot: "films/movienight", NamespaceUID: "uid"}},
		own: owner{"new", Provenance{
			Kind: SQLite, RoseyBot: "films/movienight", NamespaceUID: "uid", PVCCreated: began.Add(2 * time.Hour),
			OnlyPVC: true,
		}},
		consumer: &jetstream.ConsumerInfo{AckFloor: jetstream.SequenceInfo{Last: &acknowledged}},
		empty:    true, since: began.Add(3 * time.Hour), abandonedDelay: abandonedAfter, requestedDelay: absentAfter,
	}
}

// longAfter is a time at which every wait has passed.
var longAfter = began.Add(24 * time.Hour)

func TestAbandonedStreamIsTakenOver(t *testing.T) {
	c := abandoned()
	if taken, _ := c.mayTakeOver(c.since.Add(abandonedAfter - time.Second)); taken {
		t.Error("taken over too early")
	}
	if taken, replay := c.mayTakeOver(c.since.Add(abandonedAfter)); !taken || replay {
		t.Errorf("taken over: %t, with replay: %t", taken, replay)
	}
	const when = "it is taken over at 2026-01-02T06:14:05Z if nobody consumes them until then"
	if text := c.Error(); !strings.Contains(text, when) || !strings.Contains(text, "last active 2026-01-02T04:04:05Z") {
		t.Error(text)
	}
}

// Each condition for taking over without a request. The message says what to do instead.
func TestStreamThatMayBeNeededIsNotTakenOver(t *testing.T) {
	const annotate = "kubectl annotate -n films roseybot movienight --overwrite rosey.dev/take-over=old"
	for name, test := range map[string]struct {
		change func(*conflict)
		words  string
	}{
		"the claim is older than the stream": {
			func(c *conflict) { c.own.provenance.PVCCreated = began.Add(-time.Minute) }, annotate,
		},
		"no claim": {func(c *conflict) { c.own.provenance.PVCCreated = time.Time{} }, annotate},
		"another claim may have the rows": {
			func(c *conflict) { c.own.provenance.OnlyPVC = false }, annotate,
		},
		"SQLite to PostgreSQL before the rows are moved": {
			func(c *conflict) { c.own.provenance.Kind = Postgres }, "`rosey db move` copies the other's rows and ID",
		},
		"a mistyped PostgreSQL URL": {
			func(c *conflict) { c.own.provenance.Kind, c.current.provenance.Kind = Postgres, Postgres }, annotate,
		},
		"PostgreSQL to SQLite": {
			func(c *conflict) { c.current.provenance.Kind = Postgres }, annotate,
		},
		"another RoseyBot with the same prefix": {
			func(c *conflict) { c.current.provenance.RoseyBot = "films/other" }, annotate,
		},
		"another namespace": {
			func(c *conflict) { c.current.provenance.RoseyBot = "music/movienight" }, annotate,
		},
		"another cluster with the same names": {
			func(c *conflict) { c.current.provenance.NamespaceUID = "another" }, annotate,
		},
		"the namespace is not known": {
			func(c *conflict) { c.own.provenance.NamespaceUID, c.current.provenance.NamespaceUID = "", "" }, annotate,
		},
		"an owner of an earlier version": {
			func(c *conflict) { c.current.provenance = Provenance{} }, annotate,
		},
		"a restored database with rows": {func(c *conflict) { c.empty = false }, annotate},
		"the consumer is gone":          {func(c *conflict) { c.consumer = nil }, annotate},
		"somebody consumes": {
			func(c *conflict) { c.since = time.Time{} }, "consumes them now: stop one of the two",
		},
		"an administrator writes the metadata": {
			func(c *conflict) { c.manual = true },
			"an administrator has to write rosey.dev/database=new into the metadata of the stream and of its consumer",
		},
		"an ID that is no ID": {
			func(c *conflict) { c.current.database = "x;reboot" }, "remove it with `rosey nats remove`",
		},
		"where the own database comes from cannot be read": {
			func(c *conflict) {
				c.own.provenance = Provenance{Kind: SQLite, Unread: errors.New("permission denied")}
			},
			"an error hides where this database comes from: permission denied",
		},
		"no RoseyBot": {
			func(c *conflict) { c.own.provenance.RoseyBot = "" }, "set database.takeOver to old",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := abandoned()
			test.change(&c)
			if taken, _ := c.mayTakeOver(longAfter); taken {
				t.Error("taken over")
			}
			if text := c.Error(); !strings.Contains(text, test.words) || strings.Contains(text, "over=x;reboot") {
				t.Errorf("%s\nwant it to say %s", text, test.words)
			}
		})
	}
}

func TestToldToTakeOver(t *testing.T) {
	for name, test := range map[string]struct {
		value         string
		change        func(*conflict)
		after         time.Duration
		taken, replay bool
		words         string
	}{
		"the present owner": {"old", nil, absentAfter, true, false, "as soon as no service has consumed it for 15s"},
		"too early":         {"old", nil, absentAfter - time.Second, false, false, "for 15s"},
		"with all events":   {"old+replay", nil, absentAfter, true, true, "for 15s"},
		"an earlier owner": {
			"older", nil, 24 * time.Hour, false, false, "take-over=old (it is to take over older)",
		},
		"while somebody is on": {"old", func(c *conflict) { c.since = time.Time{} }, time.Hour, false, false, "stop one"},
		"without a consumer": {
			"old", func(c *conflict) { c.consumer = nil }, time.Hour, false, false, "take-over=old+replay",
		},
		"all without consumer":  {"old+replay", func(c *conflict) { c.consumer = nil }, time.Hour, true, true, "for 15s"},
		"in manual mode":        {"old", func(c *conflict) { c.manual = true }, time.Hour, false, false, "an administrator"},
		"for another than this": {"new", nil, 24 * time.Hour, false, false, "take-over=old"},
	} {
		t.Run(name, func(t *testing.T) {
			c := abandoned()
			c.own.provenance.Kind, c.own.provenance.TakeOver = Postgres, test.value
			if test.change != nil {
				test.change(&c)
			}
			taken, replay := c.mayTakeOver(c.since.Add(test.after))
			if taken != test.taken || taken && replay != test.replay {
				t.Errorf("taken over: %t, with replay: %t", taken, replay)
			}
			if text := c.Error(); !strings.Contains(text, test.words) {
				t.Errorf("%s\nwant it to say %s", text, test.words)
			}
		})
	}
}

// Ten minutes on end: whatever shows that somebody consumes, or that nobody looked, begins them anew.
func TestActivity(t *testing.T) {
	idle := func() *jetstream.ConsumerInfo { return &jetstream.ConsumerInfo{Created: began} }
	for name, test := range map[string]struct {
		info  func() *jetstream.ConsumerInfo
		pause time.Duration
		want  time.Time // since when
	}{
		"nothing": {idle, time.Second, began},
		"a waiting pull": {
			func() *jetstream.ConsumerInfo { i := idle(); i.NumWaiting = 1; return i }, time.Second, time.Time{},
		},
		"a delivery": {
			func() *jetstream.ConsumerInfo { i := idle(); i.Delivered.Consumer = 1; return i }, time.Second,
			began.Add(time.Second),
		},
		"an acknowledgement": {
			func() *jetstream.ConsumerInfo { i := idle(); i.AckFloor.Consumer = 1; return i }, time.Second,
			began.Add(time.Second),
		},
		"another consumer": {
			func() *jetstream.ConsumerInfo { i := idle(); i.Created = longAfter; return i }, time.Second,
			began.Add(time.Second),
		},
		"no consumer":    {func() *jetstream.ConsumerInfo { return nil }, time.Second, began.Add(time.Second)},
		"nobody looked":  {idle, time.Hour, began.Add(time.Hour)},
		"somebody looks": {idle, maxObservationGap, began},
	} {
		t.Run(name, func(t *testing.T) {
			a := &activity{}
			a.observe(idle(), began)
			if since := a.observe(test.info(), began.Add(test.pause)); !since.Equal(test.want) {
				t.Errorf("since %v, want %v", since, test.want)
			}
		})
	}
}
