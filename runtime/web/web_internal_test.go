package web

import (
	"context"
	"html/template"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
)

// requestOf returns a request of somebody with a token, or without.
func requestOf(t *testing.T, known bool) *http.Request {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if known {
		request = request.WithContext(context.WithValue(request.Context(), personKey{}, Person{Name: "alice"}))
	}
	return request
}

// newTestServer serves pages that have a NATS server and nobody else. Alice has a token.
func newTestServer(t *testing.T, settings config.Web) *httptest.Server {
	t.Helper()
	return newTestServerOn(t, natstest.Start(t).URL(), settings)
}

// newTestServerOn is newTestServer with the NATS server of the caller.
func newTestServerOn(t *testing.T, natsURL string, settings config.Web) *httptest.Server {
	t.Helper()
	_, served := newPagesOn(t, natsURL, settings)
	return served
}

func newPagesOn(t *testing.T, natsURL string, settings config.Web) (*Server, *httptest.Server) {
	t.Helper()
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	conn, err := bus.Connect(t.Context(), bus.Options{
		URL: natsURL, Log: log, InboxPrefix: subjects.InboxPrefix(bus.WebRole),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	settings.TokensDir = t.TempDir()
	writeTokens(t, settings.TokensDir, map[string]string{"alice": aliceToken})
	server := New(Options{
		Config: settings, Channel: config.Channel{Server: "https://cytu.be", Name: "movienight"}, Conn: conn,
		Subjects: subjects, Log: log, Version: "v1.2.3",
	})
	served := httptest.NewServer(server.Handler())
	t.Cleanup(served.Close)
	served.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return server, served
}

func public() config.Web {
	return config.Web{Public: true, People: config.PeoplePublic, BasePath: "/"}
}

// answered is a response whose body was read.
type answered struct {
	StatusCode int
	Header     http.Header
	cookies    []*http.Cookie
}

func (a answered) Cookies() []*http.Cookie { return a.cookies }

// send sends a request with headers, in pairs, and returns the response and its body.
func send(
	t *testing.T, served *httptest.Server, method, target, form string, headers ...string,
) (answered, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, served.URL+target, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "text/html")
	if form != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for pair := range slices.Chunk(headers, 2) {
		request.Header.Set(pair[0], pair[1])
	}
	response, err := served.Client().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answered{response.StatusCode, response.Header, response.Cookies()}, string(body)
}

func TestEveryResponseHasTheHeadersThatGuardIt(t *testing.T) {
	t.Parallel()
	served := newTestServer(t, public())
	for _, target := range []string{"/", "/login", "/chat", "/nowhere", "/say", "/assets/none.js"} {
		response, body := send(t, served, http.MethodGet, target, "")
		csp := response.Header.Get("Content-Security-Policy")
		if csp == "" || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: the policy is %q", target, csp)
		}
		for _, name := range []string{"X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Resource-Policy"} {
			if response.Header.Get(name) == "" {
				t.Errorf("%s lacks %s", target, name)
			}
		}
		if len(response.Cookies()) > 0 {
			t.Errorf("%s: a reader of a public page gets a cookie", target)
		}
		if inside := regexp.MustCompile(`<script>|<style|\sstyle=|\son[a-z]+=|hx-on`).FindString(body); inside != "" {
			t.Errorf("%s has %q inside", target, inside)
		}
	}
}

func TestLogin(t *testing.T) {
	t.Parallel()
	settings := public()
	settings.Public, settings.BasePath = false, "/rosey/"
	served := newTestServer(t, settings)
	response, _ := send(t, served, http.MethodGet, "/rosey/chat?day=2026-11-30", "")
	at := response.Header.Get("Location")
	if response.StatusCode != http.StatusSeeOther || at != "./login?next=chat%3Fday%3D2026-11-30" {
		t.Errorf("without a token: %d to %q", response.StatusCode, at)
	}
	response, _ = send(t, served, http.MethodGet, "/rosey", "")
	if at := response.Header.Get("Location"); at != "/rosey/" {
		t.Errorf("without a slash: %q", at)
	}
	response, body := send(t, served, http.MethodPost, "/rosey/login", "token=wrong-but-long-enough")
	if response.StatusCode != http.StatusForbidden || !strings.Contains(body, "Nobody has this token") ||
		len(response.Cookies()) > 0 {
		t.Errorf("a wrong token: %d", response.StatusCode)
	}
	form := url.Values{"token": {aliceToken}, "next": {"chat?words=a"}}.Encode()
	response, _ = send(t, served, http.MethodPost, "/rosey/login", form, "X-Forwarded-Proto", "https")
	at = response.Header.Get("Location")
	if response.StatusCode != http.StatusSeeOther || at != "./login?check=1&next=chat%3Fwords%3Da" {
		t.Errorf("the right token: %d to %q", response.StatusCode, at)
	}
	if len(response.Cookies()) != 1 {
		t.Fatalf("cookies: %v", response.Cookies())
	}
	cookie := response.Cookies()[0]
	if !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/rosey/" {
		t.Errorf("the cookie is %v", cookie)
	}
	if strings.Contains(cookie.Value, aliceToken) {
		t.Error("the token is in the cookie")
	}
	session := cookie.Name + "=" + cookie.Value
	_, body = send(t, served, http.MethodGet, "/rosey/", "", "Cookie", session)
	if !strings.Contains(body, "Log out") {
		t.Error("the session does not work")
	}
	check := "/rosey" + strings.TrimPrefix(response.Header.Get("Location"), ".")
	response, _ = send(t, served, http.MethodGet, check, "", "Cookie", session)
	if at := response.Header.Get("Location"); at != "./chat?words=a" {
		t.Errorf("after the login: to %q", at)
	}
	for proto, want := range map[string]string{"http": "allow cookies", "https": "open the page with https://"} {
		response, body = send(t, served, http.MethodGet, check, "", "X-Forwarded-Proto", proto)
		if response.StatusCode != http.StatusForbidden || !strings.Contains(body, want) {
			t.Errorf("a browser that does not keep the cookie over %s: %d", proto, response.StatusCode)
		}
	}
	_, body = send(t, served, http.MethodGet, "/rosey/login", "", "Cookie", cookie.Name+"=of-another-token")
	if !strings.Contains(body, "Your login has ended") {
		t.Error("nobody says that the session has ended")
	}
}

func TestStrangersSitesCannotPost(t *testing.T) {
	t.Parallel()
	served := newTestServer(t, public())
	for _, headers := range [][]string{
		{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
	} {
		for _, target := range []string{"/login", "/say", "/logout"} {
			all := slices.Concat(headers, []string{tokenHeader, aliceToken})
			response, _ := send(t, served, http.MethodPost, target, "text=x&token="+aliceToken, all...)
			if response.StatusCode != http.StatusForbidden || len(response.Cookies()) > 0 {
				t.Errorf("%s with %v: %d", target, headers, response.StatusCode)
			}
		}
	}
	if response, _ := send(t, served, http.MethodPost, "/say", "text=x"); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("saying without a token: %d", response.StatusCode)
	}
}

func TestBadInputIsAClearMessage(t *testing.T) {
	t.Parallel()
	served := newTestServer(t, public())
	for target, want := range map[string]string{
		"/chat?day=yesterday":                              "expected a day such as",
		"/chat?day=0000-01-01":                             "expected a day such as",
		"/chat?zone=900":                                   "zone: expected",
		"/chat?from=noon":                                  "from: expected a time",
		"/chat?words=" + strings.Repeat("x", 10_000):       "Words: expected at most",
		"/chat?person=" + strings.Repeat("x", 1_000):       "the name is too long",
		"/chat/download?format=xml":                        "expected jsonl or text",
		"/chat/download?format=text&from=1e99&day=tuesday": "from: expected a time",
	} {
		response, body := send(t, served, http.MethodGet, target, "")
		if response.StatusCode != http.StatusBadRequest || !strings.Contains(body, want) {
			t.Errorf("%.40s: %d, lacks %q", target, response.StatusCode, want)
		}
	}
	response, body := send(t, served, http.MethodGet, "/chat", "")
	if response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "The database does not answer") {
		t.Errorf("without a database: %d", response.StatusCode)
	}
}

func TestSlowReadersAreCutOffAndDelayNobody(t *testing.T) {
	t.Parallel()
	h := newHub()
	slow, _ := openIn(h, true)
	quick, _ := openIn(h, true)
	for range 3 * streamBuffer {
		h.send(message{body: []byte("x")})
		<-quick.messages
	}
	if h.count() != 1 {
		t.Errorf("%d streams are open", h.count())
	}
	got := 0
	for range slow.messages {
		got++
	}
	if got != streamBuffer {
		t.Errorf("the slow reader got %d messages", got)
	}
	h.leave(slow)
	h.close()
	if _, ok := openIn(h, true); ok {
		t.Error("a stream was opened after the end")
	}
}

// openIn opens a stream to nobody.
func openIn(h *hub, stranger bool) (*stream, bool) { return h.open(stranger, func(time.Time) {}) }

// TestStreamsAreBounded checks too that strangers do not keep out who has a token.
func TestStreamsAreBounded(t *testing.T) {
	t.Parallel()
	h := newHub()
	var first *stream
	for range maxStrangersStreams {
		opened, ok := openIn(h, true)
		if !ok {
			t.Fatal("a stranger was refused too early")
		}
		first = opened
	}
	if _, ok := openIn(h, true); ok {
		t.Error("there is no limit for strangers")
	}
	for range maxStreams - maxStrangersStreams {
		if _, ok := openIn(h, false); !ok {
			t.Fatal("who has a token was refused too early")
		}
	}
	if _, ok := openIn(h, false); ok {
		t.Error("there is no limit")
	}
	h.leave(first)
	if _, ok := openIn(h, true); !ok {
		t.Error("a place was lost")
	}
}

func TestLinksAreTextWithLinks(t *testing.T) {
	t.Parallel()
	const rel = `" rel="noopener noreferrer nofollow" target="_blank">`
	for text, want := range map[string]string{
		`<b onclick="x">`:             `&lt;b onclick=&#34;x&#34;&gt;`,
		"see https://a.example/x?y&z": `see <a href="https://a.example/x?y&amp;z` + rel + `https://a.example/x?y&amp;z</a>`,
		"(https://a.example).":        `(<a href="https://a.example` + rel + `https://a.example</a>).`,
		`https://a"onmouseover="x`:    `<a href="https://a` + rel + `https://a</a>&#34;onmouseover=&#34;x`,
		"javascript:alert(1)":         "javascript:alert(1)",
		"https://":                    "https://",
	} {
		if got := linkify(text); got != template.HTML(want) {
			t.Errorf("%q: %s", text, got)
		}
	}
}

// The pages are to be there at once, also on a telephone.
func TestScriptsAndStylesAreSmall(t *testing.T) {
	t.Parallel()
	loaded, err := loadAssets()
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, file := range loaded.served {
		total += len(file.gzip)
	}
	if total > 150_000 {
		t.Errorf("scripts and styles are %d bytes compressed, expected at most 150,000", total)
	}
	files, err := fs.Glob(assetFiles, "assets/*.min.js")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		name, _, _ := strings.Cut(path.Base(file), ".")
		if _, err := fs.Stat(assetFiles, "assets/"+name+".LICENSE.txt"); err != nil {
			t.Errorf("%s has no licence beside it", file)
		}
	}
}

var (
	declaration = regexp.MustCompile(`--([a-z0-9-]+): (#[0-9a-f]{6})`)
	// texts are the colours of text, and of what is drawn on a canvas, with the surfaces that they are used on.
	texts    = []string{"text", "quiet", "accent", "good", "warn", "bad", "chart-1", "chart-2"}
	surfaces = []string{"back", "card", "sunk"}
)

// TestColoursHaveEnoughContrast computes what WCAG AA asks for: 4.5 to 1.
func TestColoursHaveEnoughContrast(t *testing.T) {
	t.Parallel()
	style, err := assetFiles.ReadFile("assets/rosey.css")
	if err != nil {
		t.Fatal(err)
	}
	light, rest, _ := strings.Cut(string(style), "@media (prefers-color-scheme: dark)")
	dark, _, _ := strings.Cut(rest, "\n* ")
	for scheme, part := range map[string]string{"light": light, "dark": dark} {
		colours := map[string]string{}
		for _, found := range declaration.FindAllStringSubmatch(part, -1) {
			colours[found[1]] = found[2]
		}
		pairs := [][2]string{{"on-accent", "accent"}, {"accent", "accent-soft"}, {"text", "accent-soft"}}
		for _, surface := range surfaces {
			for _, text := range texts {
				pairs = append(pairs, [2]string{text, surface})
			}
			for hue := range hues {
				pairs = append(pairs, [2]string{"h" + strconv.Itoa(hue), surface})
			}
		}
		for _, pair := range pairs {
			if ratio := contrast(t, colours[pair[0]], colours[pair[1]]); ratio < 4.5 {
				t.Errorf("%s: %s on %s has the contrast %.2f, expected 4.5", scheme, pair[0], pair[1], ratio)
			}
		}
	}
}

func contrast(t *testing.T, a, b string) float64 {
	t.Helper()
	one, other := luminance(t, a), luminance(t, b)
	return (max(one, other) + 0.05) / (min(one, other) + 0.05)
}

func luminance(t *testing.T, colour string) (sum float64) {
	t.Helper()
	number, err := strconv.ParseUint(strings.TrimPrefix(colour, "#"), 16, 32)
	if err != nil {
		t.Fatalf("colour %q: %v", colour, err)
	}
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		channel := float64(number>>(16-8*i)&0xff) / 255
		if channel <= 0.03928 {
			channel /= 12.92
		} else {
			channel = math.Pow((channel+0.055)/1.055, 2.4)
		}
		sum += weight * channel
	}
	return sum
}
