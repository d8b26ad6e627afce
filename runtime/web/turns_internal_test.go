package web

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"rosey.dev/rosey/runtime/bus"
)

// TestSearchesLeaveTheDatabaseToOthers holds the only turn for searches.
func TestSearchesLeaveTheDatabaseToOthers(t *testing.T) {
	t.Parallel()
	served, p := newPeer(t, public())
	release, ok := p.server.searches.take(t.Context(), 1, time.Minute)
	if !ok {
		t.Fatal("there is no turn")
	}
	if p.server.searches.all.TryAcquire(1) {
		t.Error("searches may take both queries that the database service answers at a time")
	}
	var asking sync.WaitGroup
	for target, want := range map[string]int{
		"/chat?words=train": 503, "/api/v1/chat?username=nora": 503, "/people/nora": 503, "/films?by=item": 503,
		"/chat": 200, "/api/v1/chat": 200, "/films": 200, "/records": 200, "/people": 200,
	} {
		asking.Go(func() {
			if response, _ := send(t, served, http.MethodGet, target, ""); response.StatusCode != want {
				t.Errorf("%s while others search: %d", target, response.StatusCode)
			} else if want == 503 && response.Header.Get("Retry-After") == "" {
				t.Errorf("%s does not say when to try again", target)
			}
		})
	}
	asking.Wait()
	release()
	if response, _ := send(t, served, http.MethodGet, "/chat?words=train", ""); response.StatusCode != http.StatusOK {
		t.Errorf("a search after the others: %d", response.StatusCode)
	}
}

func TestStrangersDoNotKeepOutWhoHasAToken(t *testing.T) {
	t.Parallel()
	both := newTurns(2, 1, maxQueue)
	person := context.WithValue(t.Context(), personKey{}, Person{Name: "alice"})
	release, ok := both.take(t.Context(), 1, time.Minute)
	if !ok {
		t.Fatal("a stranger has no turn")
	}
	if _, ok := both.take(t.Context(), 1, 0); ok {
		t.Error("strangers may have every turn")
	}
	ofPerson, ok := both.take(person, 5, time.Minute) // as much as one may take
	if !ok {
		t.Fatal("who has a token has no turn")
	}
	ofPerson()
	release()
	if _, ok := both.take(t.Context(), 1, time.Minute); !ok {
		t.Error("a turn was lost")
	}
}

func TestFewStrangersWait(t *testing.T) {
	t.Parallel()
	full := newTurns(1, 1, maxQueue)
	for range maxQueue {
		full.queue <- struct{}{}
	}
	if _, ok := full.take(t.Context(), 1, time.Hour); ok {
		t.Error("there is no limit")
	}
}

// TestListsOfStrangersDoNotKeepOutWhoHasAToken holds what strangers may ask for at a time.
func TestListsOfStrangersDoNotKeepOutWhoHasAToken(t *testing.T) {
	t.Parallel()
	served, p := newPeer(t, public())
	for range maxStrangersLists {
		if _, ok := p.server.lists.take(t.Context(), 1, time.Minute); !ok {
			t.Fatal("there is no turn")
		}
	}
	for _, target := range []string{"/people", "/api/v1/chat", "/now/counts"} {
		response, _ := send(t, served, http.MethodGet, target, "")
		if response.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%s of one stranger more: %d", target, response.StatusCode)
		}
		response, _ = send(t, served, http.MethodGet, target, "", tokenHeader, aliceToken)
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s of alice: %d", target, response.StatusCode)
		}
	}
	if err := p.server.request(t.Context(), bus.QueryChat, bus.ChatRequest{}, &bus.ChatReply{}); err != nil {
		t.Errorf("the lines of the open pages: %v", err)
	}
}

// TestReadersWhoDoNotReadTakeNoMemory holds all that large responses to strangers may take.
func TestReadersWhoDoNotReadTakeNoMemory(t *testing.T) {
	t.Parallel()
	_, p := newPeer(t, public())
	held, _ := p.server.large.take(t.Context(), maxStrangersLarge, time.Minute)
	get := func(ctx context.Context, size int) int {
		w := httptest.NewRecorder()
		p.server.boundLarge(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(size))
			w.WriteHeader(http.StatusOK)
			_, _ = w.Write([]byte(strings.Repeat("x", size)))
		})).ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/chat", nil))
		if w.Code != http.StatusOK && strings.Contains(w.Body.String(), "xxx") {
			t.Error("the large response was written all the same")
		}
		return w.Code
	}
	const large = 1 << 20
	person := context.WithValue(t.Context(), personKey{}, Person{Name: "alice"})
	if code := get(t.Context(), large); code != http.StatusServiceUnavailable {
		t.Errorf("a large response to a stranger: %d", code)
	}
	if code := get(t.Context(), smallResponse); code != http.StatusOK {
		t.Errorf("a small response: %d", code)
	}
	if code := get(person, large); code != http.StatusOK {
		t.Errorf("a large response to who has a token: %d", code)
	}
	held()
	if code := get(t.Context(), large); code != http.StatusOK {
		t.Errorf("a large response later: %d", code)
	}
	if !p.server.large.all.TryAcquire(maxLarge) {
		t.Error("a turn was not ended")
	}
}

// TestLargePagesSayTheirSize is what the bound on large responses depends on.
func TestLargePagesSayTheirSize(t *testing.T) {
	t.Parallel()
	served, _ := newPeer(t, public())
	for _, target := range []string{"/", "/chat", "/people", "/api/v1/chat", "/api/v1/state", "/api/current"} {
		response, body := send(t, served, http.MethodGet, target, "")
		if response.Header.Get("Content-Length") != strconv.Itoa(len(body)) {
			t.Errorf("%s: %d bytes, Content-Length %q", target, len(body), response.Header.Get("Content-Length"))
		}
	}
}

// TestADatabaseThatIsAwayIsNoMistakeOfTheReader answers as the service does while it has no database.
func TestADatabaseThatIsAwayIsNoMistakeOfTheReader(t *testing.T) {
	t.Parallel()
	served, p := newPeer(t, public())
	away := bus.QueryError{Error: "the database is not available", Retry: true}
	for _, suffix := range []bus.Suffix{bus.QueryChat, bus.QueryUsers, bus.OutboundPut, bus.QueryChannelStats} {
		p.replies(suffix, away)
	}
	for _, target := range []string{"/chat", "/people", "/api/v1/chat", "/api/stats", "/chat/download?format=text"} {
		response, body := send(t, served, http.MethodGet, target, "")
		if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" ||
			!strings.Contains(body, "Try again") {
			t.Errorf("%s: %d %v", target, response.StatusCode, response.Header)
		}
	}
	if code, reply := call(t, served, http.MethodPost, "/api/v1/outbound", `{"message":"x"}`); code != 503 {
		t.Errorf("saying a line: %d %v", code, reply)
	}
	if p.server.live.databaseAway() == 0 {
		t.Error("the pages do not say that the database is away")
	}
	away.Retry = false
	p.replies(bus.QueryChat, away)
	if response, _ := send(t, served, http.MethodGet, "/chat", ""); response.StatusCode != http.StatusBadRequest {
		t.Errorf("a mistake: %d", response.StatusCode)
	}
}

// TestABusyDatabaseIsNotTakenForOneThatIsAway answers as a service does that counts the times of users, or of which too
// much is asked.
func TestABusyDatabaseIsNotTakenForOneThatIsAway(t *testing.T) {
	t.Parallel()
	served, p := newPeer(t, public())
	const doing = "the time that everybody was in the channel is being added up: try again in a moment"
	busy := bus.QueryError{Error: doing, Retry: true, Busy: true}
	for _, suffix := range []bus.Suffix{bus.QueryChat, bus.QueryUsers} {
		p.replies(suffix, busy)
	}
	for _, target := range []string{"/chat", "/people", "/api/v1/people"} {
		response, body := send(t, served, http.MethodGet, target, "")
		if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" ||
			!strings.Contains(body, doing) || strings.Contains(body, "not answered since") {
			t.Errorf("%s: %d %v %s", target, response.StatusCode, response.Header, body)
		}
	}
	if since := p.server.live.databaseAway(); since != 0 || len(p.server.live.reread) != 0 {
		t.Errorf("the database is away since %d, %d more requests for its lines", since, len(p.server.live.reread))
	}
	// That it is busy does not say either that it is back.
	p.replies(bus.QueryChat, bus.QueryError{Error: "the database is not available", Retry: true})
	send(t, served, http.MethodGet, "/chat", "")
	for _, reply := range []bus.QueryError{busy, {Error: "limit: expected a number"}} {
		p.replies(bus.QueryChat, reply)
		if send(t, served, http.MethodGet, "/chat", ""); p.server.live.databaseAway() == 0 {
			t.Errorf("the database is said to be back with %+v", reply)
		}
	}
}

// TestReadersDoNotFillTheLog has readers leave before they get what they have asked for, and many read what cannot be
// read.
func TestReadersDoNotFillTheLog(t *testing.T) {
	t.Parallel()
	served, p := newPeer(t, public())
	var logged bytes.Buffer
	p.server.options.Log = slog.New(slog.NewTextHandler(&logged, nil))
	ctx, leave := context.WithCancel(t.Context())
	leave()
	for _, target := range []string{"/chat", "/people/nora", "/api/v1/films"} {
		request := httptest.NewRequestWithContext(ctx, http.MethodGet, target, nil)
		p.server.Handler().ServeHTTP(httptest.NewRecorder(), request)
	}
	if logged.Len() > 0 {
		t.Errorf("readers have left: %s", logged.String())
	}
	p.replies(bus.QueryChat, "no reply")
	for range 50 {
		if response, _ := send(t, served, http.MethodGet, "/chat", ""); response.StatusCode != http.StatusBadGateway {
			t.Fatalf("a reply that is none: %d", response.StatusCode)
		}
	}
	if lines := bytes.Count(logged.Bytes(), []byte("\n")); lines == 0 || lines == 50 {
		t.Errorf("%d lines for 50 requests", lines)
	}
}

// TestWhatReadersAreToldIsInTheLogIsThere asks for what cannot be read on every page that sends readers to the log.
func TestWhatReadersAreToldIsInTheLogIsThere(t *testing.T) {
	t.Parallel()
	served, p := newPeer(t, public())
	for suffix, targets := range map[bus.Suffix][]string{
		bus.QueryChat:       {"/chat", "/chat/download?format=text", "/api/v1/chat"},
		bus.QueryMedia:      {"/films"},
		bus.QueryUserCounts: {"/now/counts", "/now/counts.json"},
		bus.QueryUsers:      {"/people"},
	} {
		p.replies(suffix, "no reply")
		for _, target := range targets {
			var logged bytes.Buffer
			p.server.options.Log = slog.New(slog.NewTextHandler(&logged, nil))
			p.server.unexpected = rate.NewLimiter(rate.Inf, 1)
			_, body := send(t, served, http.MethodGet, target, "")
			if !strings.Contains(body, "finds more in the log") || !strings.Contains(logged.String(), "level=WARN") {
				t.Errorf("%s: the page %.300q, the log %q", target, body, logged.String())
			}
		}
	}
}
