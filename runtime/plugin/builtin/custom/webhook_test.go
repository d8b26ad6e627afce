package custom

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rosey.dev/rosey/runtime/plugin"
	"rosey.dev/rosey/runtime/plugin/plugintest"
)

const secretPath = "/api/webhooks/1/hunter2"

// hook is a server with a webhook.
type hook struct {
	url string

	mu     sync.Mutex
	bodies []string
	answer func(w http.ResponseWriter)
}

func newHook(t *testing.T) *hook {
	t.Helper()
	h := &hook{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || r.Method != http.MethodPost || r.URL.Path != secretPath ||
			r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %v", r.Method, r.URL, err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.bodies = append(h.bodies, string(body))
		if h.answer != nil {
			h.answer(w)
		}
	}))
	t.Cleanup(server.Close)
	h.url = server.URL + secretPath
	return h
}

func (h *hook) answers(with func(w http.ResponseWriter)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.answer = with
}

// got returns what was posted since the last call.
func (h *hook) got() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	bodies := h.bodies
	h.bodies = nil
	return bodies
}

// testLog is a test that keeps its log, and in which errors are the caller's.
type testLog struct {
	*testing.T

	mu   sync.Mutex
	text strings.Builder
}

func (l *testLog) Logf(_ string, arguments ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range arguments {
		if text, ok := one.(string); ok {
			l.text.WriteString(text + "\n")
		}
	}
}

func (l *testLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// open opens a room whose plugin has a webhook at a URL.
func open(t plugintest.T, url string, options ...plugintest.Option) *plugintest.Room {
	getenv := func(name string) string { return map[string]string{"PLUGIN_CUSTOM_HOOK": url}[name] }
	options = append([]plugintest.Option{
		plugintest.Setting("webhook", "PLUGIN_CUSTOM_HOOK"), plugintest.Setting("webhookPrivate", "true"),
	}, options...)
	return plugintest.Open(t, newPlugin(getenv), options...)
}

// begin makes something play, and gives the plugin the time to post it.
func begin(room *plugintest.Room, title string) {
	film := plugintest.Film(1, title, 600)
	room.Plays(&film)
	room.Settle()
	room.Pass(postInterval)
}

func TestWhatPlaysIsPostedOnce(t *testing.T) {
	t.Parallel()
	hook := newHook(t)
	room := open(t, hook.url, plugintest.Setting("webhookForm", "json"))
	begin(room, "Solaris")
	begin(room, "Solaris") // the bot has joined again
	want := `{"event":"media","server":"https://cytube.example","channel":"testroom","at":"2030-07-01T12:00:00Z",` +
		`"media":{"type":"yt","id":"Solaris","title":"Solaris","seconds":600}}`
	if diff := cmp.Diff([]string{want}, hook.got()); diff != "" {
		t.Error(diff)
	}
	room.Pass(10 * time.Minute)
	begin(room, "Solaris") // again
	begin(room, "Stalker")
	if got := hook.got(); len(got) != 2 || !strings.Contains(got[1], "Stalker") {
		t.Errorf("posted %q", got)
	}
}

// A title that somebody has chosen must not call everybody, or look like something else.
func TestADiscordMessageMentionsNobody(t *testing.T) {
	t.Parallel()
	hook := newHook(t)
	room := open(t, hook.url)
	begin(room, "@everyone **[x](https://evil.example)**\n# big")
	posted := hook.got()
	if len(posted) != 1 {
		t.Fatalf("posted %q", posted)
	}
	var message struct {
		Content  string              `json:"content"`
		Mentions map[string][]string `json:"allowed_mentions"`
		Flags    int                 `json:"flags"`
	}
	if err := json.Unmarshal([]byte(posted[0]), &message); err != nil {
		t.Fatal(err)
	}
	parse, set := message.Mentions["parse"]
	want := `Now playing: @everyone \*\*\[x\](https://evil.example)\*\* \# big`
	if message.Content != want || !set || len(parse) > 0 || message.Flags != 4 {
		t.Errorf("posted %s", posted[0])
	}
}

func TestAPostIsTriedOnceMore(t *testing.T) {
	t.Parallel()
	hook := newHook(t)
	log := &testLog{T: t}
	room := open(log, hook.url)
	hook.answers(func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", "30")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	begin(room, "Solaris")
	room.Pass(28 * time.Second)
	if got := hook.got(); len(got) != 1 {
		t.Errorf("posted %q before it may be", got)
	}
	room.Pass(10 * time.Minute)
	if got := hook.got(); len(got) != 1 {
		t.Errorf("posted %q afterwards, want it once", got)
	}
	if text := log.String(); !strings.Contains(text, "answers with the status 429") {
		t.Errorf("the log has %q", text)
	}
	// What begins meanwhile takes the place of the second attempt.
	begin(room, "Stalker")
	begin(room, "Mirror")
	room.Pass(10 * time.Minute)
	got := hook.got()
	if len(got) != 3 || !strings.Contains(got[1], "Mirror") || !strings.Contains(got[2], "Mirror") {
		t.Errorf("posted %q", got)
	}
	hook.answers(func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	begin(room, "Nostalghia")
	room.Pass(2 * time.Hour)
	hook.answers(func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotFound) })
	begin(room, "The Sacrifice")
	room.Pass(time.Minute)
	if got := hook.got(); len(got) != 2 {
		t.Errorf("posted %q, want each once", got)
	}
}

// The URL is a secret.
func TestNoErrorOfAWebhookHasItsURL(t *testing.T) {
	t.Parallel()
	hook := newHook(t)
	hook.answers(func(w http.ResponseWriter) {
		http.Redirect(w, httptest.NewRequest(http.MethodPost, "/", nil),
			"http://other.example"+secretPath, http.StatusFound)
	})
	for name, test := range map[string]struct {
		url, want string
		options   []plugintest.Option
	}{
		"no server": {url: "http://127.0.0.1:1" + secretPath, want: "connection refused"},
		"private": {url: "https://127.0.0.1:1" + secretPath, want: "private",
			options: []plugintest.Option{plugintest.Setting("webhookPrivate", "false")}},
		"no encryption": {url: "http://hook.example" + secretPath, want: "PLUGIN_CUSTOM_HOOK: expected the URL",
			options: []plugintest.Option{plugintest.Setting("webhookPrivate", "false")}},
		"no URL":    {url: "https://hook example" + secretPath, want: "PLUGIN_CUSTOM_HOOK: expected the URL"},
		"not set":   {url: "", want: "PLUGIN_CUSTOM_HOOK: expected the URL"},
		"elsewhere": {url: hook.url, want: "redirects to another host"},
	} {
		log := &testLog{T: t}
		begin(open(log, test.url, test.options...), "Solaris")
		if text := log.String(); !strings.Contains(text, test.want) || strings.Contains(text, "hunter2") {
			t.Errorf("%s: the log has %q, want %q", name, text, test.want)
		}
	}
}

func TestOnlyItsOwnVariablesAreAWebhook(t *testing.T) {
	t.Parallel()
	for _, setting := range newPlugin(nil).Settings() {
		if setting.Name != "webhook" {
			continue
		}
		for _, value := range []string{
			"PATH", "https://discord.com/api", "PLUGIN_CUSTOM_", "PLUGIN_CUSTOM_a", "PLUGIN_HTTP_X",
		} {
			if setting.Check(value) == nil {
				t.Errorf("%q is accepted", value)
			}
		}
		if err := setting.Check("PLUGIN_CUSTOM_HOOK"); err != nil {
			t.Error(err)
		}
	}
}

// A slow server must not hold up greetings.
func TestNobodyWaitsForTheWebhook(t *testing.T) {
	t.Parallel()
	hook := newHook(t)
	posting, release := make(chan struct{}), make(chan struct{})
	hook.answers(func(http.ResponseWriter) {
		close(posting)
		<-release
	})
	room := open(t, hook.url)
	bob := room.As("bob", plugin.Moderator)
	bob.Says("!setgreeting Hello, {user}").Expects("1 lines")
	passed := make(chan struct{})
	go func() {
		begin(room, "Solaris")
		close(passed)
	}()
	<-posting
	bob.Joins()
	room.Hears("^Hello, bob$")
	close(release)
	<-passed
}

func TestWithoutAWebhookNothingIsPosted(t *testing.T) {
	t.Parallel()
	hook := newHook(t)
	room := open(t, hook.url, plugintest.Setting("webhook", ""))
	begin(room, "Solaris")
	if got := hook.got(); len(got) > 0 {
		t.Errorf("posted %q", got)
	}
}
