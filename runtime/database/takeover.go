package database

import (
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"rosey.dev/rosey/runtime/status"
)

const (
	// abandonedAfter is for how long nobody may have consumed a stream before a service takes it over by itself.
	abandonedAfter = 10 * time.Minute
	// absentAfter is the same if that is requested. A service that runs pulls again within pullExpiry.
	absentAfter = 15 * time.Second
	// maxObservationGap is how long nobody may have looked at the consumer: who pulled in between is not known.
	maxObservationGap = 30 * time.Second
)

// Kind is the kind of a database. It is a part of the stream's metadata.
type Kind string

// The kinds.
const (
	SQLite   Kind = "sqlite"
	Postgres Kind = "postgres"
)

func (k Kind) String() string {
	switch k {
	case SQLite:
		return "SQLite"
	case Postgres:
		return "PostgreSQL"
	}
	return "a database of unknown kind"
}

// Provenance is where the database of a service comes from. The zero value means that nothing is known of it: then it
// takes over no stream.
type Provenance struct {
	Kind Kind
	// RoseyBot is the namespace and name of the RoseyBot, and NamespaceUID the UID of the namespace, which no namespace of
	// another cluster has. Empty: there is none, or it is not known.
	RoseyBot, NamespaceUID string
	// PVCCreated is when the PersistentVolumeClaim with the database was created. Zero: it is on none.
	PVCCreated time.Time
	// OnlyPVC is true if the RoseyBot has no other PersistentVolumeClaim for rows.
	OnlyPVC bool
	// TakeOver is the ID of the database whose stream the service is to take over, followed by replaySuffix if it is to
	// store all events that the stream still has. Empty: none.
	TakeOver string
	// Unread is why the rest is not known, for people. Nil: nothing could not be read.
	Unread error
}

// replaySuffix follows the ID in Provenance.TakeOver.
const replaySuffix = "+replay"

// Keys of the metadata of a stream, beside ownerKey. They say where the owner comes from.
const (
	kindKey         = "rosey.dev/database-kind"
	roseyBotKey     = "rosey.dev/roseybot"
	namespaceUIDKey = "rosey.dev/namespace-uid"
)

// owner is the database that the events of a stream belong to, as the metadata of the stream names it.
type owner struct {
	database   string     // its ID; empty: none
	provenance Provenance // Kind, RoseyBot and NamespaceUID
}

func ownerOf(metadata map[string]string) owner {
	return owner{metadata[ownerKey], Provenance{
		Kind: Kind(metadata[kindKey]), RoseyBot: metadata[roseyBotKey], NamespaceUID: metadata[namespaceUIDKey],
	}}
}

// isOther reports whether there is an owner, and it is another database.
func (o owner) isOther(database string) bool { return o.database != "" && o.database != database }

// addTo returns the metadata with those of the owner. What is not known now stays as the same owner wrote it before.
// changed reports whether that is a change.
func (o owner) addTo(metadata map[string]string) (with map[string]string, changed bool) {
	if with = maps.Clone(metadata); with == nil {
		with = map[string]string{}
	}
	same := with[ownerKey] == o.database
	for key, value := range map[string]string{
		ownerKey: o.database, kindKey: string(o.provenance.Kind), roseyBotKey: o.provenance.RoseyBot,
		namespaceUIDKey: o.provenance.NamespaceUID,
	} {
		if with[key] == value || same && value == "" {
			continue
		}
		changed = true
		with[key] = value
		if value == "" {
			delete(with, key)
		}
	}
	return with, changed
}

// describe names the owner for people.
func (o owner) describe() string {
	text := status.OneLine(o.database, maxNameInError) + " (" + o.provenance.Kind.String()
	if o.provenance.RoseyBot != "" {
		text += " of RoseyBot " + status.OneLine(o.provenance.RoseyBot, maxNameInError)
	}
	return text + ")"
}

// activity is since when nobody consumes a stream, as far as it was observed.
type activity struct {
	state    consumerState
	since    time.Time // when the state was seen first; zero: somebody consumes
	observed time.Time // when it was seen last
}

// consumerState is what changes while somebody consumes.
type consumerState struct {
	exists                       bool
	created                      int64
	waiting                      bool
	delivered, acknowledged      uint64
	unacknowledged, redeliveries int
}

func stateOf(info *jetstream.ConsumerInfo) consumerState {
	if info == nil {
		return consumerState{}
	}
	return consumerState{
		exists: true, created: info.Created.UnixNano(), waiting: info.NumWaiting > 0,
		delivered: info.Delivered.Consumer, acknowledged: info.AckFloor.Consumer,
		unacknowledged: info.NumAckPending, redeliveries: info.NumRedelivered,
	}
}

// observe records the state of the consumer, nil if there is none, and returns since when nobody consumes. That is zero
// if somebody does.
func (a *activity) observe(info *jetstream.ConsumerInfo, now time.Time) (since time.Time) {
	state := stateOf(info)
	if state != a.state || a.since.IsZero() || now.Sub(a.observed) > maxObservationGap {
		a.since = now
	}
	if a.state, a.observed = state, now; state.waiting {
		a.since = time.Time{}
	}
	return a.since
}

// conflict is what is known when the events of a stream belong to another database.
type conflict struct {
	stream   string
	created  time.Time // of the stream
	current  owner
	own      owner
	consumer *jetstream.ConsumerInfo // nil: there is none
	empty    bool                    // the own database has no rows
	since    time.Time               // since when; zero: somebody consumes now
	manual   bool                    // an administrator writes the metadata
	// How long nobody may have consumed, without a request to take over (abandonedAfter) and with one (absentAfter).
	abandonedDelay, requestedDelay time.Duration
}

// requested returns whether the service is to take over from the current owner, and to store all events again.
func (c conflict) requested() (takeOver, replay bool) {
	id, replay := strings.CutSuffix(c.own.provenance.TakeOver, replaySuffix)
	return id != "" && id == c.current.database, replay
}

// isAbandoned reports whether the stream may be taken over without a request, as far as that does not depend on the
// time: the claim of the old database is gone, and nothing was stored in the new one.
func (c conflict) isAbandoned() bool {
	own, current := c.own.provenance, c.current.provenance
	return own.Kind == SQLite && own.PVCCreated.After(c.created) && own.OnlyPVC &&
		current.Kind == SQLite && current.RoseyBot != "" && current.RoseyBot == own.RoseyBot &&
		current.NamespaceUID != "" && current.NamespaceUID == own.NamespaceUID && isSafeID(c.current.database) &&
		c.empty && c.consumer != nil
}

// mayTakeOver reports whether the stream is taken over at a time.
func (c conflict) mayTakeOver(now time.Time) (taken, replay bool) {
	requested, replay := c.requested()
	quiet := now.Sub(c.since)
	switch {
	case c.since.IsZero() || c.manual:
		return false, false
	case requested:
		return quiet >= c.requestedDelay && (c.consumer != nil || replay), replay
	}
	return quiet >= c.abandonedDelay && c.isAbandoned(), false
}

// Error implements error. It is for people and stays the same while nothing changes.
func (c conflict) Error() string {
	text := fmt.Sprintf("two databases cannot share a subject prefix: the events of the stream %s belong to the "+
		"database %s", c.stream, c.current.describe())
	if last := c.lastActive(); !last.IsZero() {
		text += ", last active " + last.UTC().Format(time.RFC3339)
	}
	return text + ", and this is the database " + c.own.database + "; " + c.advice()
}

// Unwrap implements errors.Is.
func (c conflict) Unwrap() error { return errOtherOwner }

// lastActive returns when the consumer was last used. Zero: that is not known.
func (c conflict) lastActive() (last time.Time) {
	if c.consumer == nil {
		return last
	}
	for _, one := range []*time.Time{c.consumer.Delivered.Last, c.consumer.AckFloor.Last} {
		if one != nil && one.After(last) {
			last = *one
		}
	}
	return last.Truncate(time.Second)
}

// advice says what happens next, or what somebody can do.
func (c conflict) advice() string {
	requested, replay := c.requested()
	switch {
	case c.manual:
		return fmt.Sprintf("if the other is gone for good, an administrator has to write %s=%s into the metadata of the "+
			"stream and of its consumer", ownerKey, c.own.database)
	case c.since.IsZero():
		return "a service of the other one consumes them now: stop one of the two, or give it another subject prefix"
	case requested && c.consumer == nil && !replay:
		return "its consumer is gone, so it is not known how far it had stored them: " + c.command(replaySuffix) +
			" stores all that the stream still has"
	case requested:
		return "it is taken over as soon as no service has consumed it for " + c.requestedDelay.String()
	case c.isAbandoned():
		return "it is taken over at " + c.since.Add(c.abandonedDelay).UTC().Format(time.RFC3339) +
			" if nobody consumes them until then; to do so now: " + c.command("")
	}
	if !isSafeID(c.current.database) {
		return "its ID is not one of Rosey's: see who can change the stream, and remove it with `rosey nats remove`"
	}
	return c.manualAdvice()
}

// manualAdvice says how somebody makes the service take over.
func (c conflict) manualAdvice() string {
	way := "if the other is gone for good: " + c.command("")
	if wrong := c.own.provenance.TakeOver; wrong != "" {
		way += " (it is to take over " + status.OneLine(wrong, maxNameInError) + ")"
	}
	if unread := c.own.provenance.Unread; unread != nil {
		way += "; it does not take over by itself, because an error hides where this database comes from: " +
			unread.Error()
	}
	if c.own.provenance.Kind == Postgres && c.current.provenance.Kind == SQLite {
		way = "`rosey db move` copies the other's rows and ID; " + way
	}
	return way
}

// safeID matches IDs that are shown in a command, if they have at most maxSafeID bytes. Whoever may change a stream
// chooses what its metadata say.
var safeID = regexp.MustCompile(`^[A-Za-z0-9-]+$`)

const maxSafeID = 64

func isSafeID(id string) bool { return len(id) <= maxSafeID && safeID.MatchString(id) }

// command returns how to tell the service to take over.
func (c conflict) command(suffix string) string {
	namespace, name, ok := strings.Cut(c.own.provenance.RoseyBot, "/")
	if !ok {
		return "set database.takeOver to " + c.current.database + suffix
	}
	return fmt.Sprintf("kubectl annotate -n %s roseybot %s --overwrite rosey.dev/take-over=%s%s", namespace, name,
		c.current.database, suffix)
}

// StreamOwner returns what the metadata of a stream say about the database that its events belong to: its ID, and
// Kind, RoseyBot and NamespaceUID of its provenance. They are empty if the events belong to none. Whoever may change
// the stream chooses the texts.
func StreamOwner(metadata map[string]string) (database string, provenance Provenance) {
	current := ownerOf(metadata)
	return current.database, current.provenance
}
