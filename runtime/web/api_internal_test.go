package web

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/config"
)

// hostileHistory are the replies about the past.
func hostileHistory() map[bus.Suffix]any {
	now := time.Now().UnixMilli()
	at := now / 1000
	return map[bus.Suffix]any{
		bus.QueryChat: bus.ChatReply{Success: true, ReadToMS: now, Items: []bus.ChatItem{
			{ID: "b", AtMS: now, Username: hostile, Message: "second"}, {ID: "a", AtMS: now - 5000, Username: "nora"},
		}},
		bus.QueryUserCounts: bus.UserCountsReply{
			Success: true, FromMS: now - 1000, ToMS: now, StepMS: 60_000,
			Items: []bus.UserCountPoint{{AtMS: now, Chat: 3, Connected: 5, MaxChat: 4, MaxConnected: 6}},
			Joins: []bus.JoinItem{{AtMS: now, Username: hostile, Joined: true}},
		},
		bus.QueryChannelStats: bus.ChannelStatsReply{
			Success: true, HighWaterMark: bus.HighWaterMark{Users: 30, Timestamp: &at}, TotalUsersSeen: 5000,
			TopChatters: []bus.TopChatter{{Username: hostile, ChatLines: 12}},
		},
		bus.QueryUserStats: bus.UserStatsReply{
			Success: true, Found: true, Username: hostile, FirstSeen: at - 5, LastSeen: at, TotalChatLines: 12,
		},
	}
}

// call sends a request with a JSON body as a program does, with Alice's token, and decodes the response.
func call(t *testing.T, served *httptest.Server, method, target, body string, headers ...string) (int, object) {
	t.Helper()
	headers = append([]string{"Accept", "*/*", "Content-Type", "application/json", tokenHeader, aliceToken}, headers...)
	response, text := send(t, served, method, target, body, headers...)
	var decoded object
	if err := json.Unmarshal([]byte(text), &decoded); err != nil {
		t.Errorf("%s %s: %d %s", method, target, response.StatusCode, text)
	}
	return response.StatusCode, decoded
}

func TestEveryReplyOfTheAPIIsAsDescribed(t *testing.T) {
	t.Parallel()
	served, _ := newPeer(t, public())
	code, root := call(t, served, http.MethodGet, "/api/v1/openapi.json", "", tokenHeader, "")
	if code != http.StatusOK {
		t.Fatalf("the document: %d", code)
	}
	for pattern, one := range operations() {
		method, path, _ := strings.Cut(pattern, " ")
		target, body := strings.NewReplacer("{name}", pathPart(hostile), "{id}", "7").Replace(path), ""
		if one.body != nil {
			body = `{"message": " hello ", "client_id": "x"}`
		}
		described := lookUp(root, "paths", path, strings.ToLower(method))
		schema := lookUp(described, "responses", fmt.Sprint(one.code), "content", "application/json", "schema")
		code, reply := call(t, served, method, target, body)
		if code != one.code {
			t.Errorf("%s: %d %v", pattern, code, reply)
		} else if found := mismatch(root, schema, reply, pattern); found != "" {
			t.Error(found)
		}
		if method == http.MethodGet && path != "/api/v1/openapi.json" {
			checkParameters(t, served, target, one.parameters)
		}
	}
}

// checkParameters sends each parameter, and one that does not exist.
func checkParameters(t *testing.T, served *httptest.Server, target string, parameters []parameter) {
	t.Helper()
	values, names := url.Values{}, []string{}
	for _, p := range parameters {
		value := "1"
		if allowed, has := p.schema["enum"].([]string); has {
			value = allowed[0]
		}
		names = append(names, p.name)
		if highest, has := p.schema["maximum"].(int64); has {
			value = fmt.Sprint(highest)
			checkRefused(t, served, target+"?"+p.name+"="+fmt.Sprint(highest+1), p.name+": expected a whole number")
		} else {
			checkRefused(t, served, target+"?"+p.name+"="+strings.Repeat("x", maxParameter+1), p.name+": expected at most")
		}
		values.Set(p.name, value)
	}
	if code, reply := call(t, served, http.MethodGet, target+"?"+values.Encode(), ""); code != http.StatusOK {
		t.Errorf("%s with %v: %d %v", target, values, code, reply)
	}
	slices.Sort(names)
	known := cmp.Or(strings.Join(names, ", "), "none")
	checkRefused(t, served, target+"?limt=1", "unknown parameter: expected one of: "+known)
}

func checkRefused(t *testing.T, served *httptest.Server, target, want string) {
	t.Helper()
	code, reply := call(t, served, http.MethodGet, target, "")
	if message := fmt.Sprint(reply["error"]); code != http.StatusBadRequest || !strings.HasPrefix(message, want) {
		t.Errorf("%.80s: %d %v, want %q", target, code, reply, want)
	}
}

func TestStateOfTheAPIIsAsDescribed(t *testing.T) {
	t.Parallel()
	var root, reply object
	if err := json.Unmarshal(openAPI, &root); err != nil {
		t.Fatal(err)
	}
	channel := bus.ChannelState{
		Success: true, FeedPosition: bus.FeedPosition{BotStart: 1000, Number: 7}, Server: "https://cytu.be",
		Channel: "movienight", At: 5, Joined: true, Self: "Rosey", UserCount: 1, Connected: 3, PlaylistItems: 2,
		Users:   []bus.ChannelUser{{Name: "Rosey", Rank: 2, AFK: true}},
		Playing: &bus.PlayingMedia{Media: bus.Media{Title: hostile, Seconds: 60}, Position: 10},
		Next:    []bus.QueuedMedia{{UID: 3, Media: bus.Media{Title: "Next"}}},
	}
	server := &Server{live: &live{state: &channel, stateAt: time.Now().Add(-20 * time.Second)}}
	recorder := httptest.NewRecorder()
	server.serveState(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/state", nil))
	if err := json.Unmarshal(recorder.Body.Bytes(), &reply); err != nil {
		t.Fatal(err)
	}
	schema := object{"$ref": "#/components/schemas/ApiState"}
	if found := mismatch(root, schema, reply, "state"); found != "" {
		t.Error(found)
	}
	if position, _ := lookUp(reply, "state", "playing")["position"].(float64); position < 30 || channel.At != 5 {
		t.Errorf("the position is %v, not moved on", position)
	}
	row := pythonStatusOf("movienight", server.channelNow())
	if row.BotName != "Rosey" || row.BotRank != 2 || row.BotAFK != 1 || row.Connected != 3 || row.BotConnected != 1 ||
		row.BotStart != 1 || row.MediaTitle == nil || *row.MediaTitle != hostile || *row.MediaDuration != 60 {
		t.Errorf("the row is %+v", row)
	}
}

func TestErrorsOfTheAPIAreJSON(t *testing.T) {
	t.Parallel()
	settings := public()
	settings.People = config.PeopleTokensOnly
	served, _ := newPeer(t, settings)
	for _, test := range []struct {
		method, target, body, want string
		code                       int
		headers                    []string
	}{
		{method: "GET", target: "/api/v1/nowhere", code: 404, want: "no such page"},
		{method: "GET", target: "/api/v1/people", code: 401, headers: []string{tokenHeader, ""}, want: "Log in"},
		{
			method: "GET", target: "/api/v1/people", code: 401, headers: []string{tokenHeader, "", "Accept", "text/html"},
			want: "Log in",
		},
		{method: "GET", target: "/api/v1/films?by=user", code: 403, headers: []string{tokenHeader, ""}, want: "by, user"},
		{method: "GET", target: "/api/v1/chat?from_ms=yesterday", code: 400, want: "from_ms: expected"},
		{method: "POST", target: "/api/v1/outbound", body: "message=x", code: 400, want: "body: expected"},
		{method: "POST", target: "/api/v1/outbound", body: `{"message": "a"} {"message": "b"}`, code: 400, want: "body: exp"},
		{method: "POST", target: "/api/say", body: `{"message": "a"} trailing`, code: 400, want: "body: expected"},
		{method: "POST", target: "/api/v1/outbound", body: `{"message": " "}`, code: 400, want: "message: expected"},
		{method: "POST", target: "/api/v1/outbound", body: `{"message": "/kick a"}`, code: 403, want: "not for commands"},
		{
			method: "POST", target: "/api/say", body: `{"message": "` + strings.Repeat("x", maxBody) + `"}`, code: 413,
			want: "too large",
		},
		{
			method: "POST", target: "/api/say", body: `{"message": "x"}`, code: 401,
			headers: []string{tokenHeader, "wrong-but-long-enough"}, want: "Log in",
		},
		{
			method: "POST", target: "/api/say", body: `{"message": "x"}`, code: 403,
			headers: []string{"Origin", "https://evil.example"}, want: "other sites",
		},
		{
			method: "DELETE", target: "/api/v1/outbound/7", code: 403, headers: []string{"Sec-Fetch-Site", "cross-site"},
			want: "other sites",
		},
		{method: "DELETE", target: "/api/v1/outbound/x", code: 404, want: "id: expected"},
		{method: "GET", target: "/api/history/-1", code: 404, want: "hours: expected"},
		{method: "GET", target: "/api/outbound/recent?limit=-1", code: 400, want: "limit: expected"},
		{method: "GET", target: "/api/outbound/recent", code: 401, headers: []string{tokenHeader, ""}, want: "Log in"},
		{method: "GET", target: "/api/tokens", code: 404, want: "no path makes"},
		{method: "POST", target: "/api/tokens", body: "{}", code: 404, want: "no path makes"},
		{method: "DELETE", target: "/api/tokens/abcdefgh", code: 404, want: "no path makes"},
	} {
		code, reply := call(t, served, test.method, test.target, test.body, test.headers...)
		if message := fmt.Sprint(reply["error"]); code != test.code || !strings.Contains(message, test.want) {
			t.Errorf("%s %s: %d %v, want %d %q", test.method, test.target, code, reply, test.code, test.want)
		}
	}
}

func TestOtherMethodsAreNotAllowed(t *testing.T) {
	t.Parallel()
	served, _ := newPeer(t, public())
	for target, allowed := range map[string]string{
		"/api/v1/outbound": "GET, HEAD, POST", "/api/v1/outbound/7": "DELETE", "/api/v1/state": "GET, HEAD",
		"/api/v1/people/nora": "GET, HEAD", "/api/say": "POST", "/api/tokens": "GET, HEAD, POST", "/chat": "GET, HEAD",
		"/logout": "POST", "/": "GET, HEAD", "/people/nora": "GET, HEAD",
	} {
		response, body := send(t, served, http.MethodPut, target, "{}", tokenHeader, aliceToken)
		if response.StatusCode != http.StatusMethodNotAllowed || response.Header.Get("Allow") != allowed {
			t.Errorf("PUT %s: %d, Allow %q", target, response.StatusCode, response.Header.Get("Allow"))
		}
		if isJSON := json.Valid([]byte(body)); isJSON != strings.HasPrefix(target, apiRoot) {
			t.Errorf("PUT %s: %s", target, body)
		}
	}
}

func TestNamesAreForThoseWhoMayReadAboutPersons(t *testing.T) {
	t.Parallel()
	settings := public()
	settings.People = config.PeopleTokensOnly
	served, p := newPeer(t, settings)
	for target, empty := range map[string]string{
		"/api/v1/records": `"longest_session":{"count":93600,`, "/api/stats": `"top_chatters":[]`,
	} {
		_, body := send(t, served, http.MethodGet, target, "")
		if !strings.Contains(body, empty) || strings.Contains(body, "longest_session") && strings.Contains(
			body[strings.Index(body, "longest_session"):strings.Index(body, "busiest_day")], "username") {
			t.Errorf("%s names somebody: %s", target, body)
		}
	}
	send(t, served, http.MethodGet, "/api/v1/counts", "")
	if asked := p.last(bus.QueryUserCounts); strings.Contains(asked, "joins") {
		t.Errorf("joins are asked for: %s", asked)
	}
}

func TestPathsOfThePythonBotAnswerAsTheyShouldHave(t *testing.T) {
	t.Parallel()
	served, p := newPeer(t, public())
	for target, want := range map[string]string{
		"/api/current":                 `"recent_chat":[{"timestamp":`,
		"/api/stats":                   `"high_water_marks":{"chat":{"count":30,"timestamp":`,
		"/api/history/1000":            `"hours":168,"data":[{"timestamp":`,
		"/api/history/0":               `{"hours":0,"data":[]}`,
		"/api/user/nora":               `"total_chat_lines":12,"total_time_connected":0,"current_session_start":null}`,
		"/api/outbound/recent?limit=5": `"status":"queued"}]}`,
	} {
		response, body := send(t, served, http.MethodGet, target, "", tokenHeader, aliceToken)
		if response.StatusCode != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d, without %q: %s", target, response.StatusCode, want, body)
		}
	}
	_, current := call(t, served, http.MethodGet, "/api/current", "")
	lines, _ := current["recent_chat"].([]any)
	if len(lines) != 2 || lookUp(object{"oldest": lines[0]}, "oldest")["username"] != "nora" {
		t.Errorf("the oldest line is not the first: %v", current)
	}
	code, reply := call(t, served, http.MethodPost, "/api/say", `{"message": "  hello  "}`)
	asked := p.last(bus.OutboundPut)
	if code != http.StatusOK || reply["queued"] != true || reply["id"] != float64(8) ||
		!strings.Contains(asked, `"message":"hello"`) || !strings.Contains(asked, `"asker":"alice"`) {
		t.Errorf("saying: %d %v, asked %s", code, reply, asked)
	}
}

func TestStatesOfLinesAsThePythonBotCallsThem(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		item bus.OutboundItem
		want string
		sent int
	}{
		{bus.OutboundItem{State: bus.OutboundWaits}, "queued", 0},
		{bus.OutboundItem{State: bus.OutboundClaimed, RetryCount: 1}, "retrying", 0},
		{bus.OutboundItem{State: bus.OutboundSaid, ChangedMS: 5000}, "sent", 1},
		{bus.OutboundItem{State: bus.OutboundAbandoned, RetryCount: 1}, "failed", 1},
		{bus.OutboundItem{State: bus.OutboundAbandoned, RetryCount: 4}, "abandoned", 1},
		{bus.OutboundItem{State: bus.OutboundCancelled}, "cancelled", 1},
	} {
		test.item.Message = strings.Repeat("é", previewRunes+1)
		line := pythonLineOf(test.item)
		if line.Status != test.want || line.Sent != test.sent || line.Preview != strings.Repeat("é", previewRunes) ||
			(line.SentTimestamp != nil) != (test.want == "sent") {
			t.Errorf("%+v: %+v", test.item, line)
		}
	}
}

func TestLinesThatCannotBeTakenBackHaveCodesOfTheirOwn(t *testing.T) {
	t.Parallel()
	for state, want := range map[bus.OutboundState]int{
		bus.OutboundUnknown: http.StatusNotFound, bus.OutboundClaimed: http.StatusConflict,
		bus.OutboundSaid: http.StatusConflict, "": http.StatusBadRequest,
	} {
		if code := cancelCode(state, &QueryProblem{text: "why"}, http.StatusBadRequest); code != want {
			t.Errorf("%q: %d, want %d", state, code, want)
		}
	}
	if code := cancelCode("", bus.ErrNoService, http.StatusServiceUnavailable); code != http.StatusServiceUnavailable {
		t.Errorf("without a service: %d", code)
	}
}
