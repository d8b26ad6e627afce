package store

import (
	"context"
	"encoding/json"
	"errors"
	"time"
)

// Errors of a Store, for errors.Is. Each wraps the error of the database.
var (
	// ErrRejected is returned by Apply if the database rejects the events' data: applying them again fails again. Any
	// other error of Apply means that the database is not available, and the same events may be applied later.
	ErrRejected = errors.New("the database rejects the data")
	// ErrFull means that no space is left for the database.
	ErrFull = errors.New("no space is left for the database")
	// ErrNewerSchema means that a later version of the program has migrated the database.
	ErrNewerSchema = errors.New("the database is of a later version")
	// ErrForeign means that the database is that of another program. Nothing was written to it.
	ErrForeign = errors.New("the database is not one of this program")
	// ErrMoved means that the files of an open database were removed, replaced or overwritten. Nothing is written any
	// more, since nobody would find it.
	ErrMoved = errors.New("the database was removed, replaced or overwritten while it was open")
	// ErrMigration means that the database's schema could not be brought up to date.
	ErrMigration = errors.New("the database's schema cannot be brought up to date")
	// ErrURLAbsent means that the database's URL is missing.
	ErrURLAbsent = errors.New("there is no URL of the database")
	// ErrURLInvalid means that the database's URL, or a file that it names, cannot be used.
	ErrURLInvalid = errors.New("the URL of the database is invalid")
	// ErrUnsuitable means that the database cannot hold what this program stores. Nothing was written to it.
	ErrUnsuitable = errors.New("the database is unsuitable")
	// ErrRefused means that the database server refuses the login, has no such database, or denies a permission.
	ErrRefused = errors.New("the database server refuses the connection or a permission")
)

// Store stores the rows of any number of channels. It is safe for concurrent use. Names of channels and users are
// compared without regard to case. Limits below zero count as zero.
//
// A text of more than config.MaxTextBytes, which is from before there were limits, is read as its beginning: many of
// them would fill the memory.
type Store interface {
	// Apply stores events in one transaction: all of them or, with an error, none. The order of events and their
	// repetition do not change what is stored in the end.
	//
	// It ignores events that lack the user they are about, and chat lines from before the newest one that was pruned,
	// which may have been stored and counted before. Likewise, events from before the newest user that was pruned do not
	// count for any user: they may be about one who was removed and would come back with a part of what was known.
	Apply(ctx context.Context, events []Event) error

	// Enqueue adds an outbound message and returns its ID, or the ID of the message with the same ClientID. If more than
	// line.MaxWaiting messages would wait, it adds none and returns a QuotaError.
	Enqueue(ctx context.Context, channel Channel, line OutboundLine) (int64, error)
	// Outbound returns messages of a channel that are due and that no other claimant has, and claims them: oldest first,
	// but behind all others those that were handed out MaxOffers times without a report.
	Outbound(ctx context.Context, channel Channel, query OutboundQuery) ([]OutboundMessage, error)
	// CancelOutbound takes a message of a channel back that waits, or was taken back before, and returns its state: one
	// that is claimed or was sent stays as it is. Empty: there is no such message.
	CancelOutbound(ctx context.Context, channel Channel, id int64, now time.Time) (OutboundState, error)
	// NextOutbound returns when the next message of a channel will be due that is not due now: because its back-off ends,
	// or its claim, whoever has it. Messages with maxRetries failures or more are left out. Zero: there is none.
	NextOutbound(ctx context.Context, channel Channel, maxRetries int, now time.Time) (time.Time, error)

	// RecentChat returns the newest limit lines of a channel, oldest first.
	RecentChat(ctx context.Context, channel Channel, limit int) ([]RecentLine, error)
	// RecentChatWithin is RecentChat, but it reads only as many lines as fit into size bytes.
	RecentChatWithin(ctx context.Context, channel Channel, limit, size int) ([]RecentLine, error)
	// TopChatters returns the users with the most lines, in descending order.
	TopChatters(ctx context.Context, channel Channel, limit int) ([]Chatter, error)
	// Users returns all users of the channel that were not pruned, ordered by name. The sessions of a user are those of
	// the newest MaxPresence joins and leaves.
	Users(ctx context.Context, channel Channel) ([]User, error)
	// User returns one of Users. seen is false if there is no user of that name.
	User(ctx context.Context, channel Channel, name string) (user User, seen bool, err error)
	// CountUsers returns the number of Users.
	CountUsers(ctx context.Context, channel Channel) (int, error)
	// HighWater returns the channel's maxima.
	HighWater(ctx context.Context, channel Channel) (Maxima, error)
	// UserCounts returns the newest limit samples of a channel, oldest first.
	UserCounts(ctx context.Context, channel Channel, limit int) ([]CountSample, error)
	// Status returns the bot's state as the latest value of each field; see Status.Fields.
	Status(ctx context.Context, channel Channel) (map[string]json.RawMessage, error)
	// Actions returns the newest limit actions of a channel, oldest first.
	Actions(ctx context.Context, channel Channel, limit int) ([]PastAction, error)

	Queries

	// KVSet replaces the value and the expiry of a key, and returns the revision. If that would exceed entry.Quota and
	// takes more space than before, it changes nothing and returns a QuotaError; if the key does not have
	// entry.IfRevision, a KVConflictError.
	KVSet(ctx context.Context, entry KVEntry) (revision int64, err error)
	// KVAdd adds to the whole number that is the value of a key, or to 0 and then with entry.Expires if there is no such
	// key. It ignores entry.Value and entry.IfRevision. Its errors are those of KVSet, ErrNotWhole and ErrOverflow.
	KVAdd(ctx context.Context, entry KVEntry, by int64) (KVValue, error)
	// KVGet returns the value of a key. exists is false if there is none, or if it has expired at now.
	KVGet(ctx context.Context, key KVKey, now time.Time) (value KVValue, exists bool, err error)
	// KVDelete removes a key, or returns a KVConflictError if it does not have ifRevision; nil: any, as in KVEntry.
	// existed is as exists of KVGet.
	KVDelete(ctx context.Context, key KVKey, ifRevision *int64, now time.Time) (existed bool, err error)
	// KVList returns keys that begin with query.Key, ordered by their bytes, and whether there are more.
	KVList(ctx context.Context, query KVQuery) (rows []KVRow, more bool, err error)

	// RecountKV counts the keys of all plugins anew. An earlier version of the program, which may still have written when
	// the schema was brought up to date, did not count them.
	RecountKV(ctx context.Context) error

	// Prune removes about limit of the oldest rows that match a rule, in one transaction, and returns how many; 0 means
	// that no row matches any more. Nothing can be written meanwhile, so limit should be small.
	Prune(ctx context.Context, rule PruneRule, limit int) (removed int64, err error)
	// Expired returns how many rows match a rule about what a channel has said and done. Keys and dead letters, whose time
	// is not configured, do not count. Of people it counts the users alone.
	Expired(ctx context.Context, rule PruneRule) (rows int64, err error)
	// Removals returns the removals that were announced for rules with ServedBy.
	Removals(ctx context.Context, servedBy string) ([]Removal, error)
	// AnnounceRemoval stores a removal in the place of an earlier one of the same Kind and ServedBy.
	AnnounceRemoval(ctx context.Context, removal Removal) error
	// ForgetRemoval removes an announcement, if there is one.
	ForgetRemoval(ctx context.Context, kind RowKind, servedBy string) error
	// Usage measures how much is stored for channels, of which it reads all rows, and the dead letters of a prefix. A
	// channel without rows has no usage.
	Usage(ctx context.Context, channels []Channel, prefix string) (Usage, error)
	// KnownUsers returns which of names are users of the channel, by their folded names.
	KnownUsers(ctx context.Context, channel Channel, names []string) (map[string]bool, error)
	// Optimize updates the statistics from which the database plans queries.
	Optimize(ctx context.Context) error
	// Size returns the size of the database in bytes.
	Size(ctx context.Context) (int64, error)

	// AddDeadLetters stores messages of one prefix that could not be stored as rows, and removes the oldest of that prefix
	// that exceed the quota. It returns how many it removed.
	AddDeadLetters(ctx context.Context, deadLetters []DeadLetter, quota DeadLetterQuota) (removed int64, err error)
	// DeadLetters returns up to limit dead letters with an ID above after, ordered by ID: those of one prefix and those
	// without one, or with an empty prefix all of the database.
	DeadLetters(ctx context.Context, prefix string, after int64, limit int) ([]DeadLetter, error)
	// DropDeadLetter removes a dead letter. existed is false if there was none of this ID.
	DropDeadLetter(ctx context.Context, id int64) (existed bool, err error)

	// Identity returns the UUID that the database was given when it was created. Copies of the database have the same,
	// and no other database has it.
	Identity(ctx context.Context) (string, error)
	// Empty reports whether there are no rows of any channel and no dead letters.
	Empty(ctx context.Context) (bool, error)
	// StreamPosition returns how far the events of a stream are stored. found is false if that was never recorded.
	StreamPosition(ctx context.Context, stream string) (position StreamPosition, found bool, err error)
	// AdvanceStream records how far the events of a stream are stored. An earlier position of the same stream changes
	// nothing.
	AdvanceStream(ctx context.Context, position StreamPosition) error

	People

	// Check returns an error if the open database was taken away, as far as one can tell without using it.
	Check(ctx context.Context) error
	// Close closes the database. No method may be called afterwards.
	Close() error
}

// StreamPosition is a place in a stream of events: all events up to the sequence are stored.
type StreamPosition struct {
	Stream string
	// Created is when the stream was created, in milliseconds: one of the same name that was created later is another.
	Created  time.Time
	Sequence uint64
}

// Backuper is a Store that can copy itself to a file while it is used.
type Backuper interface {
	// Backup copies a snapshot to a new file and checks the copy. It returns its size in bytes. An error leaves no file.
	Backup(ctx context.Context, file string) (size int64, err error)
	// CheckBackup returns an error if a file cannot be restored, as far as its beginning tells. The error does not
	// name the file.
	CheckBackup(ctx context.Context, file string) error
}

// Importer is a Store that can import the data of another program. Importing the same data again changes nothing.
type Importer interface {
	Store

	// ImportChat stores chat lines without counting them for their users, since the other program has counted them. It
	// returns how many were missing. Lines from before the newest one that was pruned are stored too.
	ImportChat(ctx context.Context, lines []Event) (added int, err error)
	// ImportUserCounts stores samples of the number of users, and returns how many were missing.
	ImportUserCounts(ctx context.Context, samples []Event) (added int, err error)
	// ImportUsers replaces what an earlier import stored about the channel's users. What this program has stored is
	// added: lines and connected time are summed, first and last seen are merged.
	ImportUsers(ctx context.Context, channel Channel, users []ImportedUser) error
	// ChatWithout returns the lines of a channel whose event IDs contain none of markers, oldest first.
	ChatWithout(ctx context.Context, channel Channel, markers ...string) ([]RecentLine, error)
}

// ImportedUser is what another program has counted for a user.
type ImportedUser struct {
	Username            string
	FirstSeen, LastSeen time.Time
	// Lines is the number of chat lines, Twice how many of them this program has counted, too.
	Lines, Twice int
	Connected    time.Duration
}
