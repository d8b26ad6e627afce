package cytube

import (
	"errors"
	"net/url"
	"path"
	"regexp"
	"strings"
)

// errNoMedia is the error for a link that belongs to none of CyTube's providers.
var errNoMedia = errors.New("expected the link of a video, a live stream or a media file, or TYPE:ID such as yt:abc")

var (
	// mediaShort matches CyTube's short form, which its user interface accepts too.
	mediaShort = regexp.MustCompile(`^(yt|yp|vi|dm|sc|li|tw|tc|gd|sb|nv|hl|fi|cm|rt|bc|bn|od|pt|cu):(\S+)$`)
	mediaID    = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
	fileTypes  = map[string]string{
		".m3u8": "hl", ".json": "cm",
		".mp4": "fi", ".m4v": "fi", ".webm": "fi", ".ogv": "fi", ".ogg": "fi", ".mov": "fi",
		".mp3": "fi", ".m4a": "fi", ".flac": "fi", ".opus": "fi", ".wav": "fi",
	}
)

// ParseMediaLink returns the ID and Type that CyTube has for a link, as parseMediaLink of CyTube's www/js/util.js does.
// The error is for the user who gave the link.
func ParseMediaLink(link string) (Media, error) {
	if short := mediaShort.FindStringSubmatch(link); short != nil {
		return Media{Type: short[1], ID: short[2]}, nil
	}
	address, err := url.Parse(link)
	if err != nil || (address.Scheme != "https" && address.Scheme != "http") || address.Host == "" {
		return Media{}, errNoMedia
	}
	host := strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(address.Hostname()), "www."), "m.")
	if find := mediaSites[host]; find != nil {
		media := find(address)
		if media.ID == "" {
			return Media{}, errNoMedia
		}
		return media, nil
	}
	if kind := fileTypes[strings.ToLower(path.Ext(address.Path))]; kind != "" {
		return Media{Type: kind, ID: link}, nil
	}
	return Media{}, errNoMedia
}

var mediaSites = map[string]func(*url.URL) Media{
	"youtube.com":      youTube,
	"youtu.be":         inPath("yt", 0),
	"vimeo.com":        inPath("vi", 0),
	"dailymotion.com":  inPath("dm", 1),
	"dai.ly":           inPath("dm", 0),
	"streamable.com":   inPath("sb", 0),
	"clips.twitch.tv":  inPath("tc", 0),
	"twitch.tv":        inPath("tw", 0),
	"drive.google.com": inPath("gd", 2),
	"docs.google.com":  inPath("gd", 2),
	"nicovideo.jp":     inPath("nv", 1),
	"soundcloud.com":   func(address *url.URL) Media { return Media{Type: "sc", ID: address.String()} },
}

func youTube(address *url.URL) Media {
	query := address.Query()
	switch {
	case address.Path == "/watch":
		return Media{Type: "yt", ID: validID(query.Get("v"))}
	case address.Path == "/playlist":
		return Media{Type: "yp", ID: validID(query.Get("list"))}
	case strings.HasPrefix(address.Path, "/shorts/"), strings.HasPrefix(address.Path, "/live/"):
		return inPath("yt", 1)(address)
	}
	return Media{}
}

// inPath returns a function that takes the ID from a URL's path, at an index counted from 0.
func inPath(kind string, at int) func(*url.URL) Media {
	return func(address *url.URL) Media {
		parts := strings.Split(strings.Trim(address.Path, "/"), "/")
		if at >= len(parts) {
			return Media{}
		}
		return Media{Type: kind, ID: validID(parts[at])}
	}
}

func validID(id string) string {
	if !mediaID.MatchString(id) {
		return ""
	}
	return id
}
