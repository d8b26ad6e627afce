package cytube

import (
	"errors"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"
)

// errNoMedia is the error for a link that belongs to none of CyTube's providers.
var errNoMedia = errors.New("expected the link of a video, a live stream or a media file, or TYPE:ID such as yt:abc")

var (
	// mediaShort matches CyTube's short form, which its user interface accepts too.
	mediaShort = regexp.MustCompile(`^(yt|yp|vi|dm|sc|li|tw|tv|tc|gd|sb|nv|hl|fi|cm|rt|bc|bn|od|pt|cu):(\S+)$`)
	mediaID    = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
)

// ParseMediaLink returns the ID and Type that CyTube has for a link. It accepts the links that CyTube's own user
// interface does (parseMediaLink in www/js/util.js of calzoneman/sync) and some more forms of them, but of other sites
// only links to media files. The error is for the user who gave the link.
func ParseMediaLink(link string) (Media, error) {
	if short := mediaShort.FindStringSubmatch(link); short != nil {
		return Media{Type: short[1], ID: short[2]}, nil
	}
	address, err := url.Parse(link)
	if err != nil || address.Host == "" {
		return Media{}, errNoMedia
	}
	switch address.Scheme {
	case "rtmp":
		return Media{Type: "rt", ID: link}, nil
	case "https", "http":
		return parseWebLink(link, address)
	}
	return Media{}, errNoMedia
}

func parseWebLink(link string, address *url.URL) (Media, error) {
	host := strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(address.Hostname()), "www."), "m.")
	where := host + address.EscapedPath()
	if found, ok := mediaQueries[where]; ok {
		id := address.Query().Get(found.parameter)
		if !mediaID.MatchString(id) {
			return Media{}, errNoMedia
		}
		return Media{Type: found.kind, ID: id}, nil
	}
	for _, p := range mediaPages() {
		if match := p.pattern.FindStringSubmatchIndex(where); match != nil {
			return Media{Type: p.kind, ID: string(p.pattern.ExpandString(nil, p.id, where, match))}, nil
		}
	}
	kind := mediaFiles[strings.ToLower(path.Ext(address.Path))]
	if host == "soundcloud.com" {
		kind = "sc"
	}
	if kind == "" {
		return Media{}, errNoMedia
	}
	return Media{Type: kind, ID: link}, nil
}

// mediaFiles are the types of links to files, by the file's extension.
var mediaFiles = map[string]string{
	".m3u8": "hl", ".json": "cm",
	".mp4": "fi", ".m4v": "fi", ".webm": "fi", ".ogv": "fi", ".ogg": "fi", ".mov": "fi",
	".mp3": "fi", ".m4a": "fi", ".flac": "fi", ".opus": "fi", ".wav": "fi",
}

// mediaQueries are the pages with the ID in a parameter of the query.
var mediaQueries = map[string]struct{ kind, parameter string }{
	"youtube.com/watch":     {"yt", "v"},
	"youtube.com/playlist":  {"yp", "list"},
	"drive.google.com/open": {"gd", "id"},
	"docs.google.com/open":  {"gd", "id"},
}

// mediaPage is a form of links that have the ID in the path.
type mediaPage struct {
	kind string
	// pattern matches host and path. Its groups are put into id.
	pattern *regexp.Regexp
	id      string
}

// page returns a mediaPage. ID in the pattern stands for an element of the path, and the pattern for whole elements.
func page(kind, pattern, id string) mediaPage {
	pattern = strings.ReplaceAll(pattern, "ID", `([A-Za-z0-9_-]+)`)
	return mediaPage{kind, regexp.MustCompile(`^` + pattern + `(?:/|$)`), id}
}

// mediaPages are all forms. Only who names a link needs their patterns, which take 100 KiB of memory.
var mediaPages = sync.OnceValue(func() []mediaPage {
	return []mediaPage{
		page("yt", `youtube\.com/(?:shorts|live)/ID`, "$1"),
		page("yt", `youtu\.be/ID`, "$1"),
		page("vi", `vimeo\.com/(\d+)`, "$1"),
		page("dm", `dailymotion\.com/video/ID`, "$1"),
		page("dm", `dai\.ly/ID`, "$1"),
		page("sb", `streamable\.com/ID`, "$1"),
		page("tc", `clips\.twitch\.tv/ID`, "$1"),
		page("tc", `twitch\.tv/[^/]+/clip/ID`, "$1"),
		page("tv", `twitch\.tv/videos/(\d+)`, "v$1"),
		page("tw", `twitch\.tv/ID/?$`, "$1"),
		page("li", `livestream\.com/accounts/(\d+)/events/(\d+)`, "$1;$2"),
		page("gd", `(?:drive|docs)\.google\.com/file/d/ID`, "$1"),
		page("bc", `bitchute\.com/video/ID`, "$1"),
		page("nv", `nicovideo\.jp/watch/ID`, "$1"),
		page("od", `odysee\.com/@([^/:]+)(?::\w+)?/([^/:]+)(?::\w+)?`, "$1;$2"),
		page("bn", `([\w-]+)\.bandcamp\.com/track/ID`, "$1;$2"),
		// Every PeerTube server has a name of its own, but all have IDs of these two forms.
		page("pt", `([\w.-]+)/(?:w|videos/watch)/(\w{22}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})`, "$1;$2"),
	}
})
