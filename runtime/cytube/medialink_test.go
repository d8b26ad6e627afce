package cytube

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseMediaLink(t *testing.T) {
	for link, want := range map[string]Media{
		"https://www.youtube.com/watch?v=dQw4w9WgXcQ&t=3": {Type: "yt", ID: "dQw4w9WgXcQ"},
		"https://m.youtube.com/shorts/dQw4w9WgXcQ":        {Type: "yt", ID: "dQw4w9WgXcQ"},
		"https://www.youtube.com/playlist?list=PL1":       {Type: "yp", ID: "PL1"},
		"https://youtu.be/dQw4w9WgXcQ":                    {Type: "yt", ID: "dQw4w9WgXcQ"},
		"https://vimeo.com/12345":                         {Type: "vi", ID: "12345"},
		"https://www.dailymotion.com/video/x1":            {Type: "dm", ID: "x1"},
		"https://clips.twitch.tv/Abc":                     {Type: "tc", ID: "Abc"},
		"https://www.twitch.tv/somebody":                  {Type: "tw", ID: "somebody"},
		"https://www.twitch.tv/videos/123?t=1m":           {Type: "tv", ID: "v123"},
		"https://www.twitch.tv/somebody/clip/Abc":         {Type: "tc", ID: "Abc"},
		"https://vimeo.com/12345/abc":                     {Type: "vi", ID: "12345"},
		"https://drive.google.com/file/d/abc/view":        {Type: "gd", ID: "abc"},
		"https://drive.google.com/open?id=abc":            {Type: "gd", ID: "abc"},
		"https://livestream.com/accounts/1/events/2":      {Type: "li", ID: "1;2"},
		"https://www.bitchute.com/video/abc/":             {Type: "bc", ID: "abc"},
		"https://www.nicovideo.jp/watch/sm9":              {Type: "nv", ID: "sm9"},
		"https://odysee.com/@user:a/a-film:b":             {Type: "od", ID: "user;a-film"},
		"https://odysee.com/@user/a-film":                 {Type: "od", ID: "user;a-film"},
		"https://artist.bandcamp.com/track/song":          {Type: "bn", ID: "artist;song"},
		"rtmp://example.com/live":                         {Type: "rt", ID: "rtmp://example.com/live"},
		"tv:v123":                                         {Type: "tv", ID: "v123"},
		"https://tube.example/w/0123456789abcdefABCDEF": {
			Type: "pt", ID: "tube.example;0123456789abcdefABCDEF"},
		"https://tube.example/videos/watch/01234567-89ab-cdef-0123-456789abcdef": {
			Type: "pt", ID: "tube.example;01234567-89ab-cdef-0123-456789abcdef"},
		"https://streamable.com/abc":       {Type: "sb", ID: "abc"},
		"https://soundcloud.com/a/b":       {Type: "sc", ID: "https://soundcloud.com/a/b"},
		"https://example.com/live.m3u8":    {Type: "hl", ID: "https://example.com/live.m3u8"},
		"https://example.com/Film.MP4?x=1": {Type: "fi", ID: "https://example.com/Film.MP4?x=1"},
		"https://example.com/film.json":    {Type: "cm", ID: "https://example.com/film.json"},
		"yt:dQw4w9WgXcQ":                   {Type: "yt", ID: "dQw4w9WgXcQ"},
	} {
		got, err := ParseMediaLink(link)
		if err != nil {
			t.Errorf("%s: %v", link, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", link, diff)
		}
	}
	for _, link := range []string{
		"", "film", "https://", "https://example.com/", "ftp://example.com/a.mp4", "https://youtu.be/", "xx:abc",
		"https://www.youtube.com/watch?v=a%20b", "https://drive.google.com/file", "javascript:alert(1)",
		"https://vimeo.com/channels/x/1", "https://www.twitch.tv/videos/abc", "https://www.twitch.tv/a/b",
		"https://livestream.com/a/b", "https://artist.bandcamp.com/album/songs", "https://tube.example/w/short",
		"https://drive.google.com/open", "https://youtu.be/a%20b",
	} {
		if got, err := ParseMediaLink(link); err == nil {
			t.Errorf("%q is taken for %+v", link, got)
		}
	}
}
