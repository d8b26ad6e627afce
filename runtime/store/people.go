package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// People reads and removes what is stored about one user of a channel. Dead letters, which belong to no channel, are
// not among it.
type People interface {
	// PersonRows returns up to limit rows about a user behind a position, in a fixed order.
	PersonRows(ctx context.Context, channel Channel, name string, after PersonPosition, limit int) ([]PersonRow, error)
	// ForgetPerson removes what is stored about a user, and stores that nothing about them that happened until then may
	// be stored again: Apply ignores it, and so do ImportChat and ImportUsers. It returns how many rows of each kind were
	// about them, with an error those that were removed before; then it can be repeated. What does not say who they are
	// stays: that something was played, and how many lines were written in an hour. Others can write while it looks for
	// the lines of a user.
	ForgetPerson(ctx context.Context, channel Channel, name string, until time.Time) (removed map[string]int64, err error)
}

// PersonPosition is the place of a PersonRow. The zero value is before all rows.
type PersonPosition struct {
	// Table is the number of the table, and Key the row's key in it.
	Table int
	Key   string
}

// PersonRow is a row about a user.
type PersonRow struct {
	PersonPosition

	// Kind is user, session (a join or a leave), line, action, hour, play or outbound.
	Kind string
	// At is when it happened, or when a user was first seen.
	At time.Time
	// Columns are the names and values of the row's columns: string, int64, bool or nil.
	Columns map[string]any
}

// PersonHash stands for a user where the name must not be stored. Names are few and short: it hides a name from who
// reads the table, not from who looks for a certain one.
func PersonHash(channel Channel, name string) string {
	key := Channel{Server: CleanText(channel.Server), Name: CleanText(channel.Name)}.Fold()
	hash := sha256.Sum256([]byte(key.Server + "\x00" + key.Name + "\x00" + Fold(CleanText(name))))
	return hex.EncodeToString(hash[:])
}
