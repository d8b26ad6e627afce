package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

func TestASearchThatEndsEarlySaysSo(t *testing.T) {
	t.Parallel()
	served, p := newPeer(t, public())
	p.replies(bus.QueryChat, bus.ChatReply{Success: true, Next: "more", ReadToMS: 1764460800000})
	p.replies(bus.QueryMedia, bus.MediaReply{Success: true, Next: "more"})
	for target, want := range map[string][]string{
		"/chat?words=x":                  {"No line fits so far.", "2025-11-30 00:00", "Older lines", "← Older"},
		"/chat?person=nora":              {"No line fits so far.", "Older lines are on the next page"},
		"/chat?words=x&day=2025-11-30":   {"No line fits so far.", "Newer lines are on the next page", "Newer →"},
		"/chat?words=x&from=17644608000": {"Newer lines are on the next page"},
		"/films?person=nora":             {"No film fits so far", "cursor=more"},
	} {
		_, body := send(t, served, http.MethodGet, target, "")
		for _, text := range want {
			if !strings.Contains(body, text) {
				t.Errorf("%s lacks %q", target, text)
			}
		}
	}
	p.replies(bus.QueryChat, bus.ChatReply{Success: true})
	if _, body := send(t, served, http.MethodGet, "/chat?words=x", ""); strings.Contains(body, "so far") {
		t.Error("a search that has read everything says that it has not")
	}
}

// TestALinkToALineIsNoDeadEnd follows the links from a line, and from a day, to what was said before and after.
func TestALinkToALineIsNoDeadEnd(t *testing.T) {
	t.Parallel()
	served, p := newPeer(t, public())
	for target, links := range map[string][]string{
		"/chat?from=1764460800000":                     {"chat?to=1764460800000"},
		"/chat?from=1764460800000&person=a&words=b":    {"chat?person=a&amp;to=1764460800000&amp;words=b"},
		"/chat?to=1764460800000":                       {"chat?from=1764460800000"},
		"/chat?day=2025-11-30":                         {"chat?to=1764460800000", "chat?from=1764547200000"},
		"/chat?day=2025-11-30&zone=60":                 {"chat?to=1764457200000&amp;zone=60"},
		"/chat?from=1764460800000&to=1764547200000":    {"chat?to=1764460800000", "chat?from=1764547200000"},
		"/chat?day=" + time.Now().Format("2006-01-02"): {"chat?to="},
	} {
		_, body := send(t, served, http.MethodGet, target, "")
		for _, link := range links {
			if !strings.Contains(body, `href="./`+link+`"`) && !strings.Contains(body, link) {
				t.Errorf("%s lacks a link to %s", target, link)
			}
		}
	}
	send(t, served, http.MethodGet, "/chat?to=1764460800000", "")
	if asked := p.last(bus.QueryChat); !strings.Contains(asked, `"to":1764460800`) || !strings.Contains(asked, `"desc"`) {
		t.Errorf("what was said before: asked %s", asked)
	}
	for target, want := range map[string]int{
		"/chat?to=noon": 400, "/chat?from=2000&to=2000": 400, "/chat": 200, "/chat?from=2000&to=2001": 200,
	} {
		if response, _ := send(t, served, http.MethodGet, target, ""); response.StatusCode != want {
			t.Errorf("%s: %d", target, response.StatusCode)
		}
	}
}

// TestADownloadEndsInTimeAndSaysSo downloads what would never end.
func TestADownloadEndsInTimeAndSaysSo(t *testing.T) {
	t.Parallel()
	_, p := newPeer(t, public())
	later := time.Now().Add(time.Hour)
	for name, test := range map[string]struct {
		until, silentAt time.Time
		items           []bus.ChatItem
	}{
		"at its end":            {time.Now(), later, []bus.ChatItem{{ID: "a", Message: "found"}}},
		"when it finds nothing": {later, time.Now(), nil},
		"at its last page":      {later, later, []bus.ChatItem{{ID: "a", Message: "found"}}},
	} {
		p.replies(bus.QueryChat, bus.ChatReply{Success: true, Items: test.items, Next: "more"})
		w := httptest.NewRecorder()
		before := p.times(bus.QueryChat)
		download := chatDownload{server: p.server, w: w, format: "jsonl", until: test.until, silentAt: test.silentAt}
		download.run(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/chat/download", nil))
		body := w.Body.String()
		if !strings.Contains(body, `{"incomplete":"`) || strings.Contains(body, "found") != (test.items != nil) {
			t.Errorf("%s: %.200s", name, body)
		}
		if asked := p.times(bus.QueryChat) - before; !w.Flushed || test.until != test.silentAt && asked != 1 {
			t.Errorf("%s: asked %d times, flushed: %v", name, asked, w.Flushed)
		}
	}
}
