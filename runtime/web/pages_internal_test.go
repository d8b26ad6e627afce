package web

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/config"
	"rosey.dev/rosey/runtime/status"
)

// hostile is in every text of a stranger.
const hostile = `<script>alert(1)</script>`

// peer answers requests as the database service does, with hostile text everywhere. It records what it was asked.
type peer struct {
	t      *testing.T
	server *Server // the pages
	mu     sync.Mutex
	asked  map[bus.Suffix][]string
	bodies map[bus.Suffix][]byte
}

// replies changes a reply.
func (p *peer) replies(suffix bus.Suffix, reply any) {
	p.t.Helper()
	body, err := json.Marshal(reply)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bodies[suffix] = body
}

func (p *peer) answer(suffix bus.Suffix, message *nats.Msg) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked[suffix] = append(p.asked[suffix], string(message.Data))
	_ = message.Respond(p.bodies[suffix])
}

// times returns how often something was asked.
func (p *peer) times(suffix bus.Suffix) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.asked[suffix])
}

// last returns the body of the last request.
func (p *peer) last(suffix bus.Suffix) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.asked[suffix]) == 0 {
		return ""
	}
	return p.asked[suffix][len(p.asked[suffix])-1]
}

// newPeer starts pages beside a peer.
func newPeer(t *testing.T, settings config.Web) (*httptest.Server, *peer) {
	t.Helper()
	natsURL := natstest.Start(t).URL()
	conn, err := nats.Connect(natsURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	p := &peer{t: t, asked: map[bus.Suffix][]string{}, bodies: map[bus.Suffix][]byte{}}
	subjects, err := bus.NewSubjects("rosey")
	if err != nil {
		t.Fatal(err)
	}
	replies := hostileReplies()
	maps.Copy(replies, hostileHistory())
	for suffix, reply := range replies {
		p.replies(suffix, reply)
		if _, err := conn.Subscribe(subjects.Subject(suffix), func(message *nats.Msg) {
			p.answer(suffix, message)
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	server, served := newPagesOn(t, natsURL, settings)
	p.server = server
	return served, p
}

func hostileReplies() map[bus.Suffix]any {
	now := time.Now().UnixMilli()
	film := bus.Media{Type: "yt", ID: "x", Title: "Night Train " + hostile, Seconds: 61, QueuedBy: hostile}
	user := bus.UserItem{
		Username: hostile, Lines: 12345, FirstSeenMS: now - 5000, LastSeenMS: now, ConnectedMS: 93_600_000,
	}
	person := bus.UserReply{
		Success: true, Found: true, UserItem: user, FromMS: now - 86_400_000, ToMS: now,
		Sessions:  []bus.SessionItem{{JoinMS: now - 3_600_000}},
		Days:      []bus.DayItem{{Date: time.UnixMilli(now).UTC().Format(time.DateOnly), Lines: 7}},
		LastLines: []bus.ChatItem{{ID: "a1", AtMS: now, Username: hostile, Message: "&lt;script&gt;alert(1)&lt;/script&gt;"}},
	}
	person.Hours[0][23] = 7
	record := &bus.RecordItem{Count: 93_600, AtMS: now, Username: hostile}
	return map[bus.Suffix]any{
		bus.QueryUsers: bus.UsersReply{Success: true, Items: []bus.UserItem{user}, Next: "more", Total: 5000},
		bus.QueryUser:  person,
		bus.QueryMedia: bus.MediaReply{Success: true, Items: []bus.MediaItem{{AtMS: now, Media: film, Plays: 3}}},
		bus.QueryRecords: bus.RecordsReply{
			Success: true, MostUsers: record, MostConnected: record, LongestSession: record, BusiestDay: record,
		},
		bus.QueryOutbound: bus.OutboundListReply{Success: true, Items: []bus.OutboundItem{
			{ID: 7, State: bus.OutboundWaits, QueuedMS: now, Message: hostile, Asker: hostile, LastError: hostile},
		}},
		bus.CommandsGet("movienight"): hostileCommands(),
		bus.QueryPluginActions: bus.PluginActionsReply{Success: true, Next: "more", Items: []bus.PluginActionItem{
			{
				AtMS: now, Plugin: "dice", Did: hostile, Call: hostile, Asker: hostile, Args: hostile, Said: hostile,
				Problem: hostile,
			},
			{AtMS: now, Plugin: "quotes", Did: "say", Args: "good evening"},
		}},
		bus.OutboundPut:    bus.OutboundPutReply{Success: true, ID: 8},
		bus.OutboundCancel: bus.OutboundCancelReply{Success: true, State: bus.OutboundCancelled},
		bus.DeadList: bus.DeadListReply{Success: true, DeadLetters: []bus.DeadLetter{
			{ID: 3, Time: now, Subject: hostile, Reason: hostile, Size: 9, Payload: hostile},
		}},
		bus.DeadRetry: bus.DeadChangeReply{Failed: []bus.DeadFailure{{ID: 3, Error: "still wrong " + hostile}}},
		bus.DeadDrop:  bus.DeadChangeReply{Success: true, Changed: []int64{3}},
		bus.StatusGet: bus.ProcessStatus{Success: true, Instance: hostile, Report: status.Report{
			Component: status.BotComponent, Version: hostile, Reason: "Because", Message: hostile,
			StreamWaiting: new(uint64(1234)),
			Checks:        []status.Check{{Name: status.ChannelCheck, Reason: "Because", Message: hostile}},
		}},
	}
}

// hostileCommands are those of a bot whose plugins declare what they should not.
func hostileCommands() bus.ChannelCommands {
	return bus.ChannelCommands{
		Success: true, Server: hostile, Channel: "movienight", Prefix: "!", Chat: true, More: true,
		Plugins: []status.PluginReport{
			{Name: "dice", OK: true, Reason: status.ReasonReady},
			{Name: "quotes", Reason: status.ReasonPluginAbsent, Message: "no process " + hostile},
		},
		Commands: []bus.OfferedCommand{
			{Name: "help", Usage: "[COMMAND]", Via: []string{bus.ViaChat}, Available: true},
			{
				Plugin: "dice", Name: hostile, Aliases: []string{hostile, "r"}, Usage: hostile, Help: hostile,
				Examples: []string{hostile}, Rank: 2, Via: []string{bus.ViaChat, bus.ViaPM}, Available: true,
			},
		},
		Overrides: []bus.OverriddenCommand{{
			Command: "dice.roll", Disabled: true, Name: "throw", Rank: new(0.0), UserSeconds: new(5), ChannelSeconds: new(0),
			Allow: []string{"nora " + hostile}, Deny: []string{"mallory"},
		}},
	}
}

// TestWhatPluginsDidIsForWhoHasAToken checks who sees what of commands and plugins, on pages and of the API.
func TestWhatPluginsDidIsForWhoHasAToken(t *testing.T) {
	t.Parallel()
	served, p := newPeer(t, public())
	private := []string{"mallory", "no process", "never for"}
	for _, target := range []string{"/plugins", "/api/v1/plugins"} {
		response, body := send(t, served, http.MethodGet, target, "")
		if response.StatusCode != http.StatusOK || !strings.Contains(body, "[COMMAND]") {
			t.Errorf("%s without a token: %d %s", target, response.StatusCode, body)
		}
		for _, text := range private {
			if strings.Contains(body, text) {
				t.Errorf("%s shows %q to everybody", target, text)
			}
		}
		_, body = send(t, served, http.MethodGet, target, "", tokenHeader, aliceToken)
		if !strings.Contains(body, "mallory") {
			t.Errorf("%s lacks the overrides", target)
		}
	}
	for target, want := range map[string]int{"/plugins/actions": 303, "/api/v1/plugins/actions": 401} {
		if response, _ := send(t, served, http.MethodGet, target, ""); response.StatusCode != want {
			t.Errorf("%s without a token: %d", target, response.StatusCode)
		}
	}
	if asked := p.times(bus.QueryPluginActions); asked > 0 {
		t.Errorf("%d requests of who may not", asked)
	}
	_, body := send(t, served, http.MethodGet, "/plugins/actions?plugin=dice", "", tokenHeader, aliceToken)
	if asked := p.last(bus.QueryPluginActions); !strings.Contains(asked, `"plugin":"dice"`) ||
		!strings.Contains(body, `plugins/actions?cursor=more&amp;plugin=dice`) {
		t.Errorf("asked %s: %s", asked, body)
	}
}

func TestWithoutABotNobodyKnowsTheCommands(t *testing.T) {
	t.Parallel()
	served := newTestServer(t, public())
	response, body := send(t, served, http.MethodGet, "/plugins", "")
	if response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "The bot does not answer") {
		t.Errorf("the page: %d %s", response.StatusCode, body)
	}
	code, reply := call(t, served, http.MethodGet, "/api/v1/plugins", "")
	if code != http.StatusServiceUnavailable || !strings.Contains(fmt.Sprint(reply["error"]), "The bot does not answer") {
		t.Errorf("the API: %d %v", code, reply)
	}
}

func TestStrangersTextIsTextOnEveryPage(t *testing.T) {
	t.Parallel()
	served, _ := newPeer(t, public())
	for target, wanted := range map[string]string{
		"/people":                        "1 d 2 h",
		"/people/" + pathPart(hostile):   "1 d 2 h",
		"/films":                         "Night Train",
		"/films?by=item":                 "1:01",
		"/films?by=user":                 "Plays",
		"/films?person=%3Cscript%3E":     "Queued by",
		"/records":                       "1 d 2 h",
		"/outbound?state=waiting":        "Take back",
		"/health":                        "234 events of the stream wait",
		"/plugins":                       "each user waits 5 s · everybody waits 0 s",
		"/plugins/actions":               "good evening",
		"/now/counts.json":               `"kind":"join"`,
		"/people?name=%3Cscript%3Ealert": "Show all",
		"/people?sort=name&order=asc":    "↑",
		"/people/a/days.json?zone=60":    `"series"`,
		"/people/nora?zone=-60":          "UTC-01:00",
	} {
		response, body := send(t, served, http.MethodGet, target, "",
			tokenHeader, aliceToken)
		if response.StatusCode != http.StatusOK || !strings.Contains(body, wanted) {
			t.Errorf("%s: %d, without %q: %s", target, response.StatusCode, wanted, body)
		}
		if strings.Contains(body, hostile) {
			t.Errorf("%s has a stranger's script", target)
		}
		if strings.Contains(body, "%3d") {
			t.Errorf("%s has a query that is escaped twice", target)
		}
	}
}

func TestPagesAboutPersonsAreForWhomTheyAreConfigured(t *testing.T) {
	t.Parallel()
	settings := public()
	settings.People = config.PeopleOff
	off, p := newPeer(t, settings)
	settings.People = config.PeopleTokensOnly
	tokensOnly, _ := newPeer(t, settings)
	for _, target := range []string{
		"/people", "/people/nora", "/films?by=user", "/films?person=nora", "/chat?person=nora",
		"/chat/download?format=text&person=nora",
	} {
		response, _ := send(t, off, http.MethodGet, target, "", tokenHeader, aliceToken)
		if response.StatusCode != http.StatusNotFound {
			t.Errorf("%s with people off: %d", target, response.StatusCode)
		}
		response, _ = send(t, tokensOnly, http.MethodGet, target, "")
		if response.StatusCode != http.StatusSeeOther {
			t.Errorf("%s without a token: %d", target, response.StatusCode)
		}
		response, _ = send(t, tokensOnly, http.MethodGet, target, "", tokenHeader, aliceToken)
		if response.StatusCode != http.StatusOK {
			t.Errorf("%s with a token: %d", target, response.StatusCode)
		}
	}
	if _, body := send(t, off, http.MethodGet, "/records", ""); strings.Contains(body, "alert") {
		t.Error("the records name somebody although people are off")
	}
	send(t, off, http.MethodGet, "/now/counts.json", "", tokenHeader, aliceToken)
	if asked := p.last(bus.QueryUserCounts); asked == "" || strings.Contains(asked, "joins") {
		t.Errorf("the chart asks who came although people are off: %q", asked)
	}
	for _, target := range []string{"/outbound", "/health"} {
		if response, _ := send(t, off, http.MethodGet, target, ""); response.StatusCode != http.StatusSeeOther {
			t.Errorf("%s of public pages without a token: %d", target, response.StatusCode)
		}
	}
}

func TestWhatIsDoneOnPagesIsAskedForByName(t *testing.T) {
	t.Parallel()
	served, p := newPeer(t, public())
	post := func(target, form string) (answered, string) {
		return send(t, served, http.MethodPost, target, form, tokenHeader, aliceToken)
	}
	hidden := url.Values{"text": {"\u200b/kick nora"}}.Encode()
	response, body := post("/outbound", hidden)
	if response.StatusCode != http.StatusForbidden || !strings.Contains(body, "not for commands") {
		t.Errorf("a command behind a character that shows nothing: %d", response.StatusCode)
	}
	if response, _ := post("/outbound", "text=hello"); response.StatusCode != http.StatusSeeOther ||
		!strings.Contains(p.last(bus.OutboundPut), `"asker":"alice"`) {
		t.Errorf("queuing: %d, %s", response.StatusCode, p.last(bus.OutboundPut))
	}
	response, body = post("/outbound", "text=/kick+nora")
	if response.StatusCode != http.StatusForbidden || !strings.Contains(body, `value="/kick nora"`) {
		t.Errorf("a command without the right: %d", response.StatusCode)
	}
	if response, _ := post("/outbound/cancel", "id=7"); response.StatusCode != http.StatusSeeOther ||
		!strings.Contains(p.last(bus.OutboundCancel), `"asker":"alice"`) {
		t.Errorf("taking back: %d, %s", response.StatusCode, p.last(bus.OutboundCancel))
	}
	if response, body := post("/health/dead", "id=3&do=retry"); response.StatusCode != http.StatusConflict ||
		!strings.Contains(body, "still wrong") || strings.Contains(body, hostile) {
		t.Errorf("a dead letter that fails again: %d", response.StatusCode)
	}
	response, _ = post("/health/dead", "id=3&do=drop")
	if response.StatusCode != http.StatusSeeOther || !strings.Contains(p.last(bus.DeadDrop), `"ids":[3]`) {
		t.Errorf("dropping: %d, %s", response.StatusCode, p.last(bus.DeadDrop))
	}
	for target, form := range map[string]string{
		"/health/dead": "id=3&do=burn", "/outbound/cancel": "id=seven", "/outbound": "text=",
	} {
		if response, _ := post(target, form); response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s with %s: %d", target, form, response.StatusCode)
		}
	}
	for _, target := range []string{
		"/people/x?zone=abc", "/records?zone=9999", "/films?person=" + strings.Repeat("x", 600),
	} {
		if response, _ := send(t, served, http.MethodGet, target, ""); response.StatusCode != http.StatusBadRequest {
			t.Errorf("%.30s: %d", target, response.StatusCode)
		}
	}
}

// Who has a token of this page has none of the pages of other channels that share the database.
func TestAPageAsksForDeadLettersOfItsOwnChannel(t *testing.T) {
	t.Parallel()
	served, p := newPeer(t, public())
	p.replies(bus.DeadList, bus.DeadListReply{Success: true, More: true, Next: 4711}) // none of those that were looked at
	_, body := send(t, served, http.MethodGet, "/health", "", tokenHeader, aliceToken)
	if !strings.Contains(body, "health?after=4711") {
		t.Error("there is no link to the others")
	}
	for _, verb := range []string{"retry", "drop"} {
		send(t, served, http.MethodPost, "/health/dead", "id=3&do="+verb, tokenHeader, aliceToken)
	}
	for _, suffix := range []bus.Suffix{bus.DeadList, bus.DeadRetry, bus.DeadDrop} {
		if got := p.last(suffix); !strings.Contains(got, `"server":"https://cytu.be","channel":"movienight"`) {
			t.Errorf("%s asks for %s", suffix, got)
		}
	}
}

func TestTimeLineStaysInside(t *testing.T) {
	t.Parallel()
	stays := staysOf(bus.UserReply{FromMS: 1000, ToMS: 2000, Sessions: []bus.SessionItem{
		{JoinMS: 1999}, {JoinMS: 2000}, {JoinMS: 100, LeaveMS: 1500}, {JoinMS: 1200, LeaveMS: 9000},
		{JoinMS: 1300, LeaveMS: 1300},
	}})
	for _, one := range stays {
		if one.Begin < 0 || one.Length < 1 || one.Begin+one.Length > timeLine {
			t.Errorf("%+v", one)
		}
	}
}

func TestAForgedRangeOfDaysTakesNoMemory(t *testing.T) {
	t.Parallel()
	served, p := newPeer(t, public())
	p.replies(bus.QueryUser, bus.UserReply{Success: true, Found: true, FromMS: 0, ToMS: maxMillis})
	var shown chart
	_, body := send(t, served, http.MethodGet, "/people/nora/days.json", "")
	if err := json.Unmarshal([]byte(body), &shown); err != nil || len(shown.X) != maxChartDays {
		t.Errorf("%d days, %v", len(shown.X), err)
	}
}

func TestNamesOfReasonsAreWords(t *testing.T) {
	t.Parallel()
	for name, want := range map[status.Reason]string{
		"Ready": "Ready", "NATSUnreachable": "NATS unreachable", "StoreURLAbsent": "Store URL absent",
		"ChannelNotServed": "Channel not served", "JetStreamMissing": "Jetstream missing", "channel": "channel", "": "",
		"Strange\nOne": "Strange one",
	} {
		if got := wordsOf(name); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}
