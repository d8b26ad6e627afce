package web

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// newOffline returns pages that are served without NATS. Alice has a token.
func newOffline(t *testing.T, options Options) *Server {
	t.Helper()
	options.Log = slog.New(slog.DiscardHandler)
	options.Config.TokensDir = t.TempDir()
	writeTokens(t, options.Config.TokensDir, map[string]string{"alice": aliceToken})
	return New(options)
}

// visit sends a request to a handler, with headers in pairs, as a browser on this machine does.
func visit(
	t *testing.T, handler http.Handler, method, target, form string, headers ...string,
) (answered, string) {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, target, strings.NewReader(form))
	request.RemoteAddr = "127.0.0.1:4711"
	request.Header.Set("Accept", "text/html")
	if form != "" {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for pair := range slices.Chunk(headers, 2) {
		request.Header.Set(pair[0], pair[1])
	}
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, request)
	response := recorder.Result()
	_ = response.Body.Close()
	return answered{recorder.Code, recorder.Header(), response.Cookies()}, recorder.Body.String()
}

func TestARequestThatWasPassedOnIsNotOneOfThisMachine(t *testing.T) {
	t.Parallel()
	handler := newOffline(t, Options{Config: config.Web{BasePath: "/"}, Loopback: true}).Handler()
	if response, _ := visit(t, handler, http.MethodGet, "/", ""); response.StatusCode != http.StatusOK {
		t.Errorf("a browser on this machine: %d", response.StatusCode)
	}
	for _, name := range []string{
		"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port",
		"X-Forwarded-Server", "X-Forwarded-Uri", "X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP", "CF-Connecting-IP",
		"CF-Ray", "CDN-Loop", "True-Client-IP", "X-Envoy-External-Address", "Fly-Client-IP", "Tailscale-User-Login",
	} {
		if response, _ := visit(t, handler, http.MethodGet, "/", "", name, "x"); response.StatusCode != http.StatusSeeOther {
			t.Errorf("a request with %s: %d", name, response.StatusCode)
		}
	}
	old := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	old.RemoteAddr, old.Proto, old.ProtoMinor = "127.0.0.1:4711", "HTTP/1.0", 0
	recorder := httptest.NewRecorder()
	if handler.ServeHTTP(recorder, old); recorder.Code == http.StatusOK {
		t.Error("a request of HTTP/1.0, as nginx sends it, is one of this machine")
	}
	withHost := config.Web{BasePath: "/", Host: "movies.example.org"}
	named := newOffline(t, Options{Config: withHost, Loopback: true}).Handler()
	for target, want := range map[string]int{
		"http://movies.example.org/": http.StatusSeeOther, "http://MOVIES.example.org:8443/": http.StatusSeeOther,
		"http://localhost/": http.StatusOK,
	} {
		if response, _ := visit(t, named, http.MethodGet, target, ""); response.StatusCode != want {
			t.Errorf("%s: %d, want %d", target, response.StatusCode, want)
		}
	}
	elsewhere := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	elsewhere.RemoteAddr, recorder = "192.0.2.7:4711", httptest.NewRecorder()
	if handler.ServeHTTP(recorder, elsewhere); recorder.Code == http.StatusOK {
		t.Error("a request from another address is one of this machine")
	}
}

// TestFormsOfThePagesAreNotTakenForThoseOfOtherSites sends forms as browsers do over plain HTTP, where they send no
// Sec-Fetch-Site. With the policy no-referrer they would send "Origin: null".
func TestFormsOfThePagesAreNotTakenForThoseOfOtherSites(t *testing.T) {
	t.Parallel()
	handler := newOffline(t, Options{Config: config.Web{BasePath: "/"}}).Handler()
	response, _ := visit(t, handler, http.MethodGet, "http://192.168.1.7:8081/login", "")
	if got := response.Header.Get("Referrer-Policy"); got != "same-origin" {
		t.Errorf("the policy is %q, with which the origin of a form may be null", got)
	}
	for origin, want := range map[string]int{
		"http://192.168.1.7:8081": http.StatusSeeOther, "null": http.StatusForbidden,
		"http://192.168.1.7:8082": http.StatusForbidden, "http://evil.example": http.StatusForbidden,
	} {
		response, _ := visit(t, handler, http.MethodPost, "http://192.168.1.7:8081/login", "token="+aliceToken,
			"Origin", origin)
		if response.StatusCode != want || (len(response.Cookies()) > 0) != (want == http.StatusSeeOther) {
			t.Errorf("a login with the origin %s: %d, want %d", origin, response.StatusCode, want)
		}
	}
}

func TestWrongTokensOfOthersShutNobodyOut(t *testing.T) {
	t.Parallel()
	server := newOffline(t, Options{Config: config.Web{BasePath: "/"}})
	handler := server.Handler()
	read := func(headers ...string) int {
		response, _ := visit(t, handler, http.MethodGet, "/api/v1/state", "", headers...)
		return response.StatusCode
	}
	login, _ := visit(t, handler, http.MethodPost, "/login", "token="+aliceToken, "X-Forwarded-For", "203.0.113.8")
	session := login.Cookies()[0]
	// A script with an old token behind the same proxy, which names nobody.
	for range 50 {
		if code := read(tokenHeader, "wrong-but-long-enough"); code != http.StatusUnauthorized {
			t.Fatalf("a wrong token: %d", code)
		}
	}
	if code := read(tokenHeader, aliceToken); code != http.StatusOK {
		t.Errorf("a right token after wrong ones from the same address: %d", code)
	}
	// In an hour, so that nothing is regained while the test runs.
	later := time.Now().Add(time.Hour)
	for range wrongTokens {
		server.logins.wrong("127.0.0.1", later)
	}
	if code := read(tokenHeader, aliceToken); code != http.StatusTooManyRequests {
		t.Errorf("tokens can be guessed without end: %d", code)
	}
	for i := range allWrongTokens {
		server.logins.wrong("127.0.0.1 somewhere "+strconv.Itoa(i), later)
	}
	if code := read(tokenHeader, aliceToken, "X-Forwarded-For", "198.51.100.1"); code != http.StatusTooManyRequests {
		t.Errorf("many addresses can guess without end: %d", code)
	}
	if code := read(tokenHeader, aliceToken, "X-Forwarded-For", "forged, 203.0.113.8"); code != http.StatusOK {
		t.Errorf("a right token from where one was before: %d", code)
	}
	for _, headers := range [][]string{
		{"Cookie", session.Name + "=" + session.Value}, {tokenHeader, aliceToken}, // the session shows who is there
	} {
		if code := read(append(headers, "X-Forwarded-For", "198.51.100.2")...); code != http.StatusOK {
			t.Errorf("a session, and a right token from where one is: %d", code)
		}
	}
}

func TestAddressesAreThoseOfHouseholds(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ remote, forwarded, want string }{
		{"192.0.2.1:80", "", "192.0.2.1"}, {"[::ffff:192.0.2.1]:80", "", "192.0.2.1"},
		{"[2001:db8:1:2:3:4:5:6]:80", "", "2001:db8:1:2::/64"},
		{"10.0.0.1:80", "forged, 192.0.2.1", "10.0.0.1 192.0.2.1"},
		{"10.0.0.1:80", "2001:db8:1:2::9", "10.0.0.1 2001:db8:1:2::/64"},
		{"10.0.0.1:80", "192.0.2.1:999", "10.0.0.1 192.0.2.1"},
		{"10.0.0.1:80", strings.Repeat("x", 5000), "10.0.0.1 " + strings.Repeat("x", maxAddressLength)},
	} {
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		request.RemoteAddr = test.remote
		if test.forwarded != "" {
			request.Header.Set("X-Forwarded-For", test.forwarded)
		}
		if got := addressOf(request); got != test.want {
			t.Errorf("%s for %.40s: %q, want %q", test.remote, test.forwarded, got, test.want)
		}
	}
}

// TestAnOpenPageEndsWithItsToken presents wrong tokens meanwhile, so that tokens are not looked at.
func TestAnOpenPageEndsWithItsToken(t *testing.T) {
	t.Parallel()
	server := newOffline(t, Options{Config: config.Web{BasePath: "/"}})
	alice, _ := server.tokens.find(aliceToken)
	now := time.Now()
	session := newSession(alice, aliceToken, now.Add(sessionLength))
	for name, value := range map[string]string{
		tokenHeader: aliceToken, "Authorization": "Bearer " + aliceToken, "Cookie": sessionCookie + "=" + session,
	} {
		writeTokens(t, server.options.Config.TokensDir, map[string]string{"alice": aliceToken})
		server.tokens.read(now)
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/live", nil)
		request.Header.Set(name, value)
		request = request.WithContext(context.WithValue(request.Context(), personKey{}, alice))
		for range wrongTokens {
			server.logins.wrong(addressOf(request), now)
		}
		if !server.stillAllowed(request) {
			t.Errorf("%s: the page ends although the token is right", name)
		}
		writeTokens(t, server.options.Config.TokensDir, map[string]string{"alice": "alice-has-a-new-token"})
		server.tokens.read(now)
		if server.stillAllowed(request) {
			t.Errorf("%s: the page stays open although the token was replaced", name)
		}
	}
}

func TestPathsOfTheProcessAreForWhoeverRunsIt(t *testing.T) {
	t.Parallel()
	secret := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("nora is muted")) })
	for _, test := range []struct {
		name     string
		base     string
		loopback bool
		headers  []string
		code     int
		location string
	}{
		{name: "a stranger", base: "/", code: http.StatusSeeOther, location: "./login?next=process"},
		{name: "a program", base: "/", headers: []string{"Accept", "*/*"}, code: http.StatusUnauthorized},
		{name: "a stranger, pages elsewhere", base: "/rosey/", code: http.StatusUnauthorized},
		{name: "a token", base: "/rosey/", headers: []string{tokenHeader, aliceToken}, code: http.StatusOK},
		{name: "this machine", base: "/", loopback: true, code: http.StatusOK},
		{
			name: "a proxy", base: "/", loopback: true, headers: []string{"X-Forwarded-For", "x"},
			code: http.StatusSeeOther, location: "./login?next=process",
		},
	} {
		// Public pages are no reason to show the process.
		server := newOffline(t, Options{Config: config.Web{BasePath: test.base, Public: true}, Loopback: test.loopback})
		response, body := visit(t, server.Private(secret), http.MethodGet, status.ProcessPath, "", test.headers...)
		if response.StatusCode != test.code || response.Header.Get("Location") != test.location ||
			strings.Contains(body, "nora") != (test.code == http.StatusOK) {
			t.Errorf("%s: %d to %q: %s", test.name, response.StatusCode, response.Header.Get("Location"), body)
		}
	}
}

func TestTheLinkToTheProcessIsForWhomItWorks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		base, target, want string
		headers            []string
	}{
		{base: "/", target: "/login", headers: []string{tokenHeader, aliceToken}, want: `href="./process"`},
		{base: "/", target: "/login"},
		{base: "/", target: "/"},
		{base: "/rosey/", target: "/rosey/login", headers: []string{tokenHeader, aliceToken}},
	} {
		server := newOffline(t, Options{
			Config: config.Web{BasePath: test.base, Public: true}, ProcessPath: status.ProcessPath,
		})
		_, body := visit(t, server.Handler(), http.MethodGet, test.target, "", test.headers...)
		if !strings.Contains(body, "<footer>") || !strings.Contains(body, test.want) ||
			test.want == "" && strings.Contains(body, `process"`) {
			t.Errorf("%s below %s with %v lacks %q: %s", test.target, test.base, test.headers, test.want, body)
		}
	}
}

func TestANameWithASlashKeepsThePageInItsPlace(t *testing.T) {
	t.Parallel()
	settings := public()
	settings.People = config.PeopleTokensOnly
	served, _ := newPeer(t, settings)
	response, _ := send(t, served, http.MethodGet, "/people/x%2Fy%3Fz", "")
	next := "people%2Fx%252Fy%253Fz"
	if at := response.Header.Get("Location"); at != "../login?next="+next {
		t.Errorf("asked to log in at %q", at)
	}
	response, _ = send(t, served, http.MethodPost, "/login", "token="+aliceToken+"&next="+next)
	check := strings.TrimPrefix(response.Header.Get("Location"), ".")
	response, _ = send(t, served, http.MethodGet, check, "", tokenHeader, aliceToken)
	if at := response.Header.Get("Location"); at != "./people/x%2Fy%3Fz" {
		t.Errorf("after the login: %q", at)
	}
	_, body := send(t, served, http.MethodGet, "/people/x%2Fy", "", tokenHeader, aliceToken)
	if !strings.Contains(body, `href="../chat"`) || strings.Contains(body, `"../../`) {
		t.Errorf("the page looks for its root elsewhere: %s", body)
	}
}

func TestOnePersonsLinesAreForThoseWhoMayReadAboutPersons(t *testing.T) {
	t.Parallel()
	settings := public()
	settings.People = config.PeopleTokensOnly
	served, p := newPeer(t, settings)
	code, reply := call(t, served, http.MethodGet, "/api/v1/chat?username=nora", "", tokenHeader, "")
	if code != http.StatusForbidden || !strings.Contains(fmt.Sprint(reply["error"]), "username:") {
		t.Errorf("the API without a token: %d %v", code, reply)
	}
	if asked := p.last(bus.QueryChat); asked != "" {
		t.Errorf("the database was asked %s", asked)
	}
	if code, _ := call(t, served, http.MethodGet, "/api/v1/chat?username=nora", ""); code != http.StatusOK {
		t.Errorf("the API with a token: %d", code)
	}
	for _, token := range []string{"", aliceToken} {
		_, body := send(t, served, http.MethodGet, "/chat", "", tokenHeader, token)
		for _, part := range []string{`name="person"`, "chat?person="} {
			if strings.Contains(body, part) != (token != "") {
				t.Errorf("the chat with the token %q and %s: %s", token, part, body)
			}
		}
	}
}
