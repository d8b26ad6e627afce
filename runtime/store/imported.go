package store

import (
	"context"
	"time"
)

// Importer is a Store that takes over what another program kept of a channel. To import the same
// again changes nothing.
type Importer interface {
	Store

	// ImportChat stores lines of chat that another program counted: they raise nobody's number of lines.
	// It returns how many were not there, and leaves out those from before the newest pruned line.
	ImportChat(ctx context.Context, lines []Event) (added int, err error)
	// ImportUsers replaces everything that an earlier import said of the channel's users. What was stored
	// here comes on top: lines and time are added, the first and last time seen are merged.
	ImportUsers(ctx context.Context, channel Channel, users []ImportedUser) error
	// ChatBeside returns the lines of a channel whose event ids do not contain marker, oldest first.
	ChatBeside(ctx context.Context, channel Channel, marker string) ([]RecentLine, error)
}

// ImportedUser is what another program counted.
type ImportedUser struct {
	Username            string
	FirstSeen, LastSeen time.Time
	// Lines are all that they wrote, Twice of them were counted here too.
	Lines, Twice int
	Connected    time.Duration
}
