package simulator

import (
	"slices"
	"strings"
)

// liveTypes are the providers of live streams, which have no length.
var liveTypes = []string{"li", "tw", "rt", "cu", "hl"}

// linkPrefixes turn an ID into a link. The IDs of other providers are links.
var linkPrefixes = map[string]string{
	"yt": "https://youtu.be/", "vi": "https://vimeo.com/", "dm": "https://dailymotion.com/video/",
	"li": "https://livestream.com/", "tw": "https://twitch.tv/", "gd": "https://docs.google.com/file/d/",
	"sb": "https://streamable.com/", "tc": "https://clips.twitch.tv/", "nv": "https://www.nicovideo.jp/watch/",
}

// inventedSeconds is the length of a film that is not in Options.Media.
const inventedSeconds = 300

// lookUp simulates a request to the provider for an ID. An ID that is not in Options.Media is a film too, but CyTube
// accepts an HLS stream only from an https URL.
func (s *Server) lookUp(id, kind string) (Media, string) {
	i := slices.IndexFunc(s.options.Media, func(m Media) bool { return m.ID == id && m.Type == kind })
	switch {
	case i >= 0:
		return s.options.Media[i], ""
	case kind == "hl" && !strings.HasPrefix(id, "https"):
		return Media{}, "HLS links must start with HTTPS due to browser security policy.  " +
			"See https://git.io/vpDLK for details."
	case slices.Contains(liveTypes, kind):
		return Media{ID: id, Title: "Livestream", Type: kind}, ""
	default:
		return Media{ID: id, Title: "Film " + id, Type: kind, Seconds: inventedSeconds}, ""
	}
}

// playlistItem is an item on the playlist.
type playlistItem struct {
	media    Media
	uid      int
	duration string // as clients see it
}

func (i *playlistItem) mediaFrame() mediaFrame {
	return mediaFrame{
		ID: i.media.ID, Title: i.media.Title, Seconds: i.media.Seconds, Duration: i.duration, Type: i.media.Type,
	}
}

func (i *playlistItem) frame() playlistItemFrame {
	return playlistItemFrame{Media: i.mediaFrame(), UID: i.uid, Temp: i.media.Temp, QueueBy: i.media.QueueBy}
}
