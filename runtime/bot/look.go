package bot

import (
	"context"
	"time"

	"rosey.dev/rosey/runtime/cytube"
	"rosey.dev/rosey/runtime/status"
)

// View is what the bot knows of its channel at a moment, for people to look at.
type View struct {
	// Self is the bot's name, empty for an anonymous watcher.
	Self string
	Rank float64
	// Users are everybody with a name, by name.
	Users []cytube.User
	// Connected counts the nameless too.
	Connected int
	// Media has no ID when nothing plays.
	Media cytube.Media
	// Position is how far Media has come, in seconds.
	Position float64
	Paused   bool
	// Items is how long the playlist is.
	Items int
	// Leader is who leads what plays, empty for the server.
	Leader string
}

// lookTimeout is far more than one event takes to be handled.
const lookTimeout = time.Second

// Look asks for a View. It is false while the bot is not in the channel. The channel's goroutine gives the
// answer between two events and waits for nobody.
func (b *Bot) Look(ctx context.Context) (View, bool) {
	if b.check.Check().Reason != status.ReasonJoined {
		return View{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	answer := make(chan View, 1)
	select {
	case b.looks <- answer:
		return <-answer, true
	case <-ctx.Done():
		return View{}, false
	}
}

func (c *channel) view() View {
	return View{
		Self: c.self, Rank: c.rank, Users: c.users.sorted(), Connected: c.connectedUsers(),
		Media: c.playing.media, Position: c.playing.now(), Paused: c.playing.paused,
		Items: c.playlist.count, Leader: c.leader,
	}
}
