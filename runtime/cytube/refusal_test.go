package cytube

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/status"
)

// refusing is a site that refuses requests with one path, and whose other responses are CyTube's.
type refusing struct {
	*httptest.Server
	path string
	with func(w http.ResponseWriter)
	// asked is how often the site was asked for its socket servers.
	asked atomic.Int32
}

func newRefusing(t *testing.T, path string, with func(w http.ResponseWriter)) *refusing {
	t.Helper()
	r := &refusing{path: path, with: with}
	r.Server = httptest.NewServer(r)
	t.Cleanup(r.Close)
	return r
}

func (r *refusing) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	isSite := strings.HasPrefix(request.URL.Path, "/socketconfig/")
	if isSite {
		r.asked.Add(1)
	}
	if strings.HasPrefix(request.URL.Path, r.path) {
		r.with(w)
		return
	}
	_ = json.NewEncoder(w).Encode(servers(r.URL, true))
}

// TestAProxyThatRefusesIsHeard checks what every status, header and page of a proxy means, at the request to the site
// and at that for the WebSocket.
func TestAProxyThatRefusesIsHeard(t *testing.T) {
	t.Parallel()
	sent := time.Date(2026, 10, 21, 7, 28, 0, 0, time.UTC) // its clock is not the bot's
	unreachable, limited := status.ReasonServerUnreachable, status.ReasonConnectionLimited
	tests := map[string]struct {
		status int
		header string
		page   string
		reason status.Reason
		wait   time.Duration
	}{
		"429":                            {429, "", "", limited, 0},
		"429 with seconds":               {429, "120", "", limited, 2 * time.Minute},
		"429 with a date":                {429, sent.Add(time.Minute).Format(http.TimeFormat), "", limited, time.Minute},
		"429 with a date in RFC 850":     {429, "Wednesday, 21-Oct-26 07:29:00 GMT", "", limited, time.Minute},
		"429 with a date that is past":   {429, sent.Add(-time.Hour).Format(http.TimeFormat), "", limited, 0},
		"429 with a date far away":       {429, sent.AddDate(9, 0, 0).Format(http.TimeFormat), "", limited, maxRetryAfter},
		"429 with too many seconds":      {429, "99999999", "", limited, maxRetryAfter},
		"429 with a number out of range": {429, strings.Repeat("9", 100), "", limited, maxRetryAfter},
		"429 with a negative number":     {429, "-1", "", limited, 0},
		"429 with nonsense":              {429, "soon", "", limited, 0},
		"503":                            {503, "", "<title>503 Service Temporarily Unavailable</title>", unreachable, 0},
		"503 with seconds":               {503, "30", "", unreachable, 30 * time.Second},
		"503 with a date":                {503, sent.Add(time.Minute).Format(http.TimeFormat), "", unreachable, time.Minute},
		"503 with a page on a limit":     {503, "", "<h1>Rate limit exceeded</h1>", limited, 0},
		"403":                            {403, "", "<h1>Sorry, you have been blocked</h1>", unreachable, 0},
		"403 with seconds":               {403, "30", "", limited, 30 * time.Second},
		"403 with Cloudflare's page":     {403, "", "error code: 1015", limited, 0},
		"502":                            {502, "", "rate limit", unreachable, 0},
		"504 with seconds":               {504, "30", "", unreachable, 30 * time.Second},
		"404":                            {404, "", "", unreachable, 0},
	}
	for name, test := range tests {
		for _, path := range []string{"/socketconfig/", "/socket.io/"} {
			t.Run(name+" at "+path, func(t *testing.T) {
				t.Parallel()
				site := newRefusing(t, path, func(w http.ResponseWriter) {
					w.Header().Set("Date", sent.Format(http.TimeFormat))
					if test.header != "" {
						w.Header().Set("Retry-After", test.header)
					}
					w.WriteHeader(test.status)
					_, _ = w.Write([]byte(test.page))
				})
				_, err := Dial(t.Context(), Options{Server: site.URL, Channel: "movienight"})
				checkError(t, err, Error{
					Reason: test.reason, Message: http.StatusText(test.status), RetryAfter: test.wait, Status: test.status,
				})
			})
		}
	}
}

// TestAProxyOnTheWayOutThatRefusesIsHeard checks it for a proxy of the bot's own network, as in HTTPS_PROXY.
func TestAProxyOnTheWayOutThatRefusesIsHeard(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]Error{
		http.StatusTooManyRequests:    {Reason: status.ReasonConnectionLimited, Message: "limits connections"},
		http.StatusServiceUnavailable: {Reason: status.ReasonServerUnreachable, Message: "does not connect to the server"},
		http.StatusProxyAuthRequired:  {Reason: status.ReasonServerUnreachable, Message: "407 Proxy Authentication Required"},
	} {
		proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodConnect {
				t.Errorf("method %s", r.Method)
			}
			w.Header().Set("Retry-After", "30")
			w.WriteHeader(code)
		}))
		t.Cleanup(proxy.Close)
		client, closeIdle := newHTTPClient(false, nil)
		t.Cleanup(closeIdle)
		transport, ok := client.Transport.(*http.Transport)
		if !ok {
			t.Fatal("the bot's client has another transport")
		}
		address, err := url.Parse(strings.Replace(proxy.URL, "http://", "http://user:hunter2@", 1))
		must(t, err)
		transport.Proxy = http.ProxyURL(address)
		want.Status, want.RetryAfter = code, 30*time.Second
		_, err = socketURL(t.Context(), client, "https://cytube.example", "movienight")
		checkError(t, err, want)
		_, err = openWebSocket(t.Context(), client, "wss://cytube.example/socket.io/")
		checkError(t, err, want)
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error has the proxy's password: %v", err)
		}
	}
}

// TestARefusedAttemptIsNotMadeFromTheBeginning: where a limit counts all requests, asking the site again would spend
// what the WebSocket needs.
func TestARefusedAttemptIsNotMadeFromTheBeginning(t *testing.T) {
	t.Parallel()
	var answer atomic.Int32
	answer.Store(http.StatusServiceUnavailable)
	site := newRefusing(t, "/socket.io/", func(w http.ResponseWriter) { w.WriteHeader(int(answer.Load())) })
	options := Options{Server: site.URL, Channel: "movienight", Found: &FoundServer{}}
	for attempt := range 3 {
		_, err := Dial(t.Context(), options)
		checkError(t, err, Error{Reason: status.ReasonServerUnreachable, Message: "503"})
		if asked := site.asked.Load(); asked != 1 {
			t.Errorf("the site was asked %d times in %d attempts", asked, attempt+1)
		}
	}
	answer.Store(http.StatusBadGateway) // the server may have moved
	for range 2 {
		_, err := Dial(t.Context(), options)
		checkError(t, err, Error{Reason: status.ReasonServerUnreachable, Message: "502"})
	}
	if asked := site.asked.Load(); asked != 2 {
		t.Errorf("the site was asked %d times", asked)
	}
}

func TestLoginErrors(t *testing.T) {
	tests := map[string]Error{
		"Guest logins are restricted to one per IP address per 60 seconds.": {
			Reason: status.ReasonLoginLimited, RetryAfter: time.Minute},
		"Guest logins are restricted to one per IP address per 99999 seconds.": {
			Reason: status.ReasonLoginLimited, RetryAfter: maxRetryAfter},
		"Guest logins are restricted to one per IP address per 99999999999999999999 seconds.": {
			Reason: status.ReasonLoginLimited, RetryAfter: maxRetryAfter},
		"Guest logins are restricted.": {Reason: status.ReasonLoginLimited, RetryAfter: time.Minute},
		"That username is registered.": {Reason: status.ReasonNameTaken},
		"":                             {Reason: status.ReasonLoginRefused},
		strings.Repeat("x", 300): {
			Reason: status.ReasonLoginRefused, Message: strings.Repeat("x", maxServerText) + "…"},
		"\x1b[31mred\x1b[0m\r\nlog entry": {
			Reason: status.ReasonLoginRefused, Message: "refused: \ufffd[31mred\ufffd[0m log entry"},
	}
	for said, want := range tests {
		checkError(t, loginError("rosey", said), want)
	}
	for password, want := range map[string]string{"": "no hunter2", "hunter2": "no …"} {
		if got := withoutSecret("no hunter2", password); got != want {
			t.Errorf("a server that repeats the password %q: %q", password, got)
		}
	}
}
