package store

import (
	"crypto/sha256"
	"fmt"
	"time"
)

// MediaGap is the time between two reports on one item from which on they are two plays. The server repeats what plays
// to everybody who joins, and a bot reckons from the position when it began.
const MediaGap = time.Minute

// MaxPlay is the longest time between two reports on one play, of which the second has MediaPlayed.Found. A pause may
// be long, and without a bot in the channel nothing tells it from another play of the same item.
const MaxPlay = 24 * time.Hour

// maxItemKeyBytes bounds a key of an item: those of an index are bounded in PostgreSQL.
const maxItemKeyBytes = 256

// ItemKey returns what identifies the item. It is a hash if the type and the ID are long.
func (m MediaPlayed) ItemKey() string {
	key := m.Type + "/" + m.ID
	if len(key) > maxItemKeyBytes {
		return fmt.Sprintf("sha256/%x", sha256.Sum256([]byte(key)))
	}
	return key
}

// Play is an item that was played.
type Play struct {
	// EventID is that of the first report, At when it began.
	EventID string
	At      time.Time
	// MediaPlayed is of the first report, without Found. Its QueuedBy is that of the first report with one.
	MediaPlayed
}
