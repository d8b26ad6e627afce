package bot

import (
	"time"

	"rosey.dev/rosey/runtime/cytube"
)

// playing is what plays now.
type playing struct {
	// media has no ID when nothing plays.
	media  cytube.Media
	paused bool
	// position is how far it had come in seconds when the server said so at at.
	position float64
	at       time.Time
}

func (p *playing) apply(event cytube.Event) {
	switch event := event.(type) {
	case cytube.ChangeMedia:
		*p = playing{media: event.Media, position: event.Position, paused: event.Paused, at: time.Now()}
	case cytube.MediaUpdate:
		p.position, p.paused, p.at = event.Position, event.Paused, time.Now()
	case cytube.PlaylistMeta:
		if event.Count == 0 {
			// The server does not say that nothing plays any more, only that nothing is left.
			*p = playing{}
		}
	}
}

// now is how far what plays has come, in seconds.
func (p *playing) now() float64 {
	position := p.position
	if !p.paused && !p.at.IsZero() {
		position += time.Since(p.at).Seconds()
	}
	if p.media.Seconds > 0 {
		position = min(position, float64(p.media.Seconds))
	}
	return max(0, position)
}
