package database_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/database"
	"rosey.dev/rosey/runtime/store"
	"rosey.dev/rosey/runtime/store/sqlite"
)

// began is when the events of the tests of queries begin, in Unix seconds: 04:40 UTC on a Friday.
const began = 1763700000

// query decodes the reply to a query.
func query[T any](r *rig, suffix bus.Suffix, request any) (reply T) {
	r.t.Helper()
	body, err := json.Marshal(request)
	if err == nil {
		err = json.Unmarshal([]byte(r.request(suffix, string(body))), &reply)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return reply
}

// happens publishes an event, seconds after began.
func (r *rig) happens(suffix bus.Suffix, second int, fields string) {
	r.t.Helper()
	r.publish(suffix, fmt.Sprintf(`{"timestamp":%d,%s}`, began+second, fields))
}

// all is a range with all events.
const all = `"from":1763690000,"to":1763790000`

func TestQueriesOfTheWebPage(t *testing.T) {
	r := newRig(t)
	r.ready(r.start(listing("elsewhere")))
	r.happens(bus.UserJoined, 0, `"username":"alice"`)
	r.happens(bus.MessageLog, 10, `"username":"Alice","message":"one"`)
	r.happens(bus.MessageLog, 3700, `"username":"bob","message":"two"`)
	r.happens(bus.UserLeft, 100, `"username":"alice"`)
	r.happens(bus.StatsUserCount, 60, `"chat_count":2,"connected_count":3`)
	r.happens(bus.StatsUserCount, 70, `"chat_count":3,"connected_count":5`)
	r.happens(bus.StatsHighWater, 60, `"chat_count":2,"connected_count":3`)
	for i, second := range []int{0, 30, 500} {
		r.happens(bus.MediaPlayed, second, fmt.Sprintf(
			`"type":"yt","id":"a","title":"title %d","seconds":90,"queued_by":"bob"`, i))
	}
	r.happens(bus.MediaPlayed, 200, `"type":"fi","id":"https://example.org/b.mp4","title":"b"`)
	r.request(bus.OutboundPut, `{"message":"hi","asker":"film club"}`)
	r.waitUntilStored()

	r.exchange(
		exchange{bus.QueryUserCounts, `{` + all + `,"points":100,"joins":true}`, `{"success":true,"from_ms":1763690000000,
"to_ms":1763790000000,"step_ms":1020000,"items":[{"at_ms":1763699340000,"chat":3,"connected":4,"max_chat":3,
"max_connected":5}],"joins":[{"at_ms":1763700000000,"username":"alice","joined":true},
{"at_ms":1763700100000,"username":"alice","joined":false}]}`},
		exchange{bus.QueryUsers, `{"sort":"name"}`, `{"success":true,"total":2,"items":[
{"username":"alice","lines":1,"first_seen_ms":1763700000000,"last_seen_ms":1763700100000,"connected_ms":100000},
{"username":"bob","lines":1,"first_seen_ms":1763703700000,"last_seen_ms":1763703700000,"connected_ms":0}]}`},
		exchange{bus.QueryUsers, `{"filter":"ALI","sort":"hours","channel":"elsewhere"}`,
			`{"success":true,"total":0,"items":[]}`},
		exchange{bus.QueryUser, `{"username":"nobody"}`, noUser("nobody")},
		exchange{bus.QueryMedia, `{` + all + `}`, `{"success":true,"items":[
{"at_ms":1763700500000,"type":"yt","id":"a","title":"title 2","seconds":90,"queued_by":"bob","plays":1},
{"at_ms":1763700200000,"type":"fi","id":"https://example.org/b.mp4","title":"b","seconds":0,"plays":1},
{"at_ms":1763700000000,"type":"yt","id":"a","title":"title 0","seconds":90,"queued_by":"bob","plays":1}]}`},
		exchange{bus.QueryMedia, `{"by":"item"}`, `{"success":true,"items":[
{"at_ms":1763700500000,"type":"yt","id":"a","title":"title 2","seconds":90,"plays":2},
{"at_ms":1763700200000,"type":"fi","id":"https://example.org/b.mp4","title":"b","seconds":0,"plays":1}]}`},
		exchange{bus.QueryMedia, `{"by":"user","username":"BOB"}`, `{"success":true,"items":[
{"at_ms":1763700500000,"type":"","id":"","title":"","seconds":0,"queued_by":"bob","plays":2}]}`},
		exchange{bus.QueryRecords, `{"utc_offset":60}`, `{"success":true,"most_users":{"count":2,"at_ms":1763700060000},
"most_connected":{"count":3,"at_ms":1763700060000},
"longest_session":{"count":100,"at_ms":1763700000000,"username":"alice"},
"busiest_day":{"count":2,"at_ms":1763679600000}}`},
	)
	alice := query[bus.UserReply](r, bus.QueryUser, map[string]any{
		"username": "ALICE", "from": 1763690000, "to": 1763790000, "utc_offset": 30})
	nepal := query[bus.UserReply](r, bus.QueryUser, map[string]any{
		"username": "ALICE", "from": 1763690000, "to": 1763790000, "utc_offset": 5*60 + 45})
	same(t, "hour in a zone with quarters", 1, nepal.Hours[4][10]) // 10:25
	same(t, "sessions", []bus.SessionItem{{JoinMS: 1763700000000, LeaveMS: 1763700100000}}, alice.Sessions)
	same(t, "days", []bus.DayItem{{Date: "2025-11-21", Lines: 1}}, alice.Days)
	same(t, "hour in the zone", 1, alice.Hours[4][4])
	if len(alice.LastLines) != 1 || alice.LastLines[0].Message != "one" || alice.Username != "alice" || !alice.Found {
		t.Errorf("%+v", alice)
	}
	waiting := query[bus.OutboundListReply](r, bus.QueryOutbound, map[string]any{"states": []string{"waiting", "claimed"}})
	if len(waiting.Items) != 1 || waiting.Items[0].Asker != "film club" || waiting.Items[0].State != bus.OutboundWaits {
		t.Errorf("outbound lines: %+v", waiting)
	}
	sent := query[bus.OutboundListReply](r, bus.QueryOutbound, map[string]any{"states": []string{"sent"}})
	if !sent.Success || len(sent.Items) != 0 {
		t.Errorf("sent lines: %+v", sent)
	}
}

func noUser(name string) string {
	row := "[" + strings.TrimSuffix(strings.Repeat("0,", 24), ",") + "]"
	hours := strings.TrimSuffix(strings.Repeat(row+",", 7), ",")
	return `{"success":true,"found":false,"username":"` + name + `","lines":0,"first_seen_ms":0,"last_seen_ms":0,
"connected_ms":0,"from_ms":0,"to_ms":0,"sessions":[],"hours":[` + hours + `],"days":[],"last_lines":[]}`
}

// pages reads a list page by page, and then back to the first page if it has cursors for that.
func pages(r *rig, request map[string]any) (texts, back []string) {
	r.t.Helper()
	texts, back = []string{}, []string{}
	read := func() (page []string, reply bus.ChatReply) {
		reply = query[bus.ChatReply](r, bus.QueryChat, request)
		if !reply.Success {
			r.t.Fatal(reply.Error)
		}
		for _, item := range reply.Items {
			page = append(page, item.Message)
		}
		return page, reply
	}
	var reply bus.ChatReply
	for {
		var page []string
		page, reply = read()
		texts = append(texts, page...)
		if reply.Next == "" {
			back = slices.Insert(back, 0, page...)
			break
		}
		request["cursor"] = reply.Next
	}
	for reply.Previous != "" {
		request["cursor"] = reply.Previous
		var page []string
		page, reply = read()
		back = slices.Insert(back, 0, page...)
	}
	return texts, back
}

func TestChatIsReadPageByPage(t *testing.T) {
	r := newRig(t)
	r.ready(r.start())
	var want []string
	for i := range 23 {
		text := fmt.Sprintf("line %02d &lt;%s&gt;", i, []string{"Größe", "STRASSE", "ΣΊΣΥΦΟΣ"}[i%3])
		r.happens(bus.MessageLog, i/2, fmt.Sprintf(`"username":"%s","message":%q`, []string{"alice", "Bob"}[i%2], text))
		want = append(want, text)
	}
	texts, back := pages(r, map[string]any{"limit": 5, "order": "asc"})
	same(t, "all lines", want, slices.Sorted(slices.Values(texts)))
	same(t, "on the way back", texts, back)
	reversed, back := pages(r, map[string]any{"limit": 5})
	same(t, "on the way back, the newest first", reversed, back)
	slices.Reverse(reversed)
	same(t, "the newest first", texts, reversed)
	for words, want := range map[string]int{
		"größe": 8, "GRÖSSE": 8, "straße": 8, "σίσυφος": 7, "LINE <": 23, "gt": 0, "01 line": 1, "line &lt;": 0, "  ": 23,
	} {
		texts, back := pages(r, map[string]any{"limit": 3, "words": words})
		same(t, "lines with "+words, want, len(texts))
		same(t, "on the way back", texts, back)
	}
	// A line that does not match comes behind the last page, so that the page after it is empty.
	texts, back = pages(r, map[string]any{"limit": 4, "words": "straße"})
	same(t, "on the way back from an empty page", texts, back)
	texts, _ = pages(r, map[string]any{"username": "BOB", "words": "größe", "limit": 2})
	same(t, "of one user", 4, len(texts))
	texts, _ = pages(r, map[string]any{"from": began + 1, "to": began + 2.5})
	same(t, "of a range", 4, len(texts))
}

// withoutUser is a store from which a user was removed after the times of all users had been read.
type withoutUser struct {
	*sqlite.Store

	name string
}

func (s withoutUser) UserList(
	ctx context.Context, channel store.Channel, query store.UserQuery,
) ([]store.User, error) {
	users, err := s.Store.UserList(ctx, channel, query)
	return slices.DeleteFunc(users, func(user store.User) bool { return user.Username == s.name }), err
}

// TestAUserWhoWasRemovedEndsNoList checks that the list of who was longest in the channel goes on behind such a user.
func TestAUserWhoWasRemovedEndsNoList(t *testing.T) {
	r := newRig(t)
	r.ready(r.start(func(o *database.ServiceOptions) {
		o.Open = func(ctx context.Context) (store.Store, error) {
			s, err := sqlite.Open(ctx, r.path)
			return withoutUser{s, "b"}, err
		}
	}))
	for i, name := range []string{"a", "b", "c", "d"} {
		r.happens(bus.UserJoined, 0, fmt.Sprintf(`"username":%q`, name))
		r.happens(bus.UserLeft, 1000-i, fmt.Sprintf(`"username":%q`, name))
	}
	r.waitUntilStored()
	for limit := 1; limit <= 3; limit++ {
		var names []string
		request := map[string]any{"sort": "hours", "limit": limit}
		for range 5 {
			reply := query[bus.UsersReply](r, bus.QueryUsers, request)
			for _, item := range reply.Items {
				names = append(names, item.Username)
			}
			if request["cursor"] = reply.Next; reply.Next == "" {
				break
			}
		}
		same(t, fmt.Sprintf("by %d", limit), []string{"a", "c", "d"}, names)
	}
}

// slowTimes is a store that does not find out in time how long everybody was in the channel.
type slowTimes struct{ *sqlite.Store }

func (s slowTimes) UserTimes(ctx context.Context, _ store.Channel, _ store.TimesQuery) ([]store.UserTime, error) {
	<-ctx.Done()
	return nil, errors.New("interrupted")
}

// TestManyJoinsAndLeavesHideNoOtherRecords checks that records are answered without the longest session if it takes too
// long to find that.
func TestManyJoinsAndLeavesHideNoOtherRecords(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.ready(r.start(func(o *database.ServiceOptions) {
		o.Open = func(ctx context.Context) (store.Store, error) {
			s, err := sqlite.Open(ctx, r.path)
			return slowTimes{s}, err
		}
	}))
	r.happens(bus.StatsHighWater, 60, `"chat_count":2,"connected_count":3`)
	r.waitUntilStored()
	r.exchange(exchange{bus.QueryRecords, `{}`, `{"success":true,"most_users":{"count":2,"at_ms":1763700060000},
"most_connected":{"count":3,"at_ms":1763700060000}}`})
}

// TestWhatTakesLongIsToldToWhoDistributesProcessors checks that a service says when it computes beside the messages:
// on one processor these would wait.
func TestWhatTakesLongIsToldToWhoDistributesProcessors(t *testing.T) {
	r := newRig(t)
	var beside atomic.Bool
	r.ready(r.start(func(o *database.ServiceOptions) {
		o.Handling = func(_ int, b bool) { beside.Store(b) }
	}))
	r.waitUntilStored()
	if beside.Load() {
		t.Error("a request that takes no time is said to be one")
	}
	if r.request(bus.QueryChat, `{}`); !beside.Load() {
		t.Error("a search is not told")
	}
}

func TestWrongQueriesNameTheField(t *testing.T) {
	r := newRig(t)
	r.ready(r.start())
	const sorts = `sort: expected one of "lines", "hours", "first_seen", "last_seen", "name"`
	const states = `states: expected a list of "waiting", "claimed", "sent", "failed", "cancelled"`
	const plugin = "plugin: expected the name of a plugin, 1 to 30 lower-case letters and digits"
	const limit = "limit: expected a number from 1 to 500"
	const cursor = `cursor: expected the "next" of an earlier reply to the same request`
	for body, want := range map[string]string{
		`db.query.chat {"limit":501}`:                                "limit: expected a number from 1 to 500",
		`db.query.chat {"limit":-1}`:                                 limit,
		`db.query.chat {"limit":"many"}`:                             limit,
		`db.query.chat {"from":"yesterday"}`:                         "from: expected a time in Unix seconds",
		`db.query.chat {"from":-1}`:                                  "from: expected a time in Unix seconds",
		`db.query.chat {"to":1e300}`:                                 "to: expected a time in Unix seconds",
		`db.query.chat {"from":20,"to":20}`:                          `to: expected a time after "from"`,
		`db.query.chat {"order":"newest"}`:                           `order: expected one of "asc", "desc"`,
		`db.query.chat {"cursor":"page 7"}`:                          cursor,
		`db.query.chat {"cursor":7}`:                                 cursor,
		`db.query.chat {"cursor":"eyJ0IjotMX0"}`:                     cursor, // of a time before 1970
		`db.query.chat {"cursor":"eyJpIjoiYVx1MDAwMCJ9"}`:            cursor, // with a NUL
		`db.query.chat {"words":"` + long(10_000):                    "words: expected at most 256 bytes, not 10000",
		`db.query.chat {"username":"` + long(10_000):                 "username: expected at most 256 bytes, not 10000",
		`db.query.chat {"words":"` + strings.Repeat("a ", 17) + `"}`: "words: expected at most 16 words",
		`db.query.users {"sort":"age"}`:                              sorts,
		`db.query.users {"filter":"` + long(300):                     "filter: expected at most 256 bytes, not 300",
		`db.query.user {}`:                                           "username: expected a name",
		`db.query.user {"username":"a","from":1}`:                    `from: expected at most 366 days before "to"`,
		`db.query.user {"username":"a","from":99999999999}`:          "from: expected a time that has passed",
		`db.query.user {"username":"a","utc_offset":841}`:            "utc_offset: expected minutes from -840 to 840",
		`db.query.media {"by":"title"}`:                              `by: expected one of "plays", "item", "user"`,
		`db.query.outbound {"states":["lost"]}`:                      states,
		`db.query.outbound {"states":7}`:                             states,
		`db.query.user_counts {"from":1}`:                            `from: expected at most 366 days before "to"`,
		`db.query.user_counts {"points":1}`:                          "points: expected a number from 2 to 1000",
		`db.query.records {"utc_offset":"x"}`:                        "utc_offset: expected minutes from -840 to 840",
		`db.query.plugin_actions {"plugin":"Dice"}`:                  plugin,
		`db.query.plugin_actions {"plugin":[]}`:                      "plugin: expected a text",
		`db.query.plugin_actions {"limit":501}`:                      limit,
		`db.query.records []`:                                        "cannot be decoded: not a JSON object",
	} {
		suffix, request, _ := strings.Cut(body, " ")
		var reply bus.QueryError
		err := json.Unmarshal([]byte(r.request(bus.Suffix(suffix), request)), &reply)
		if err != nil || reply.Success || reply.Error != want {
			t.Errorf("%.80s: %+v, %v\nwant %s", body, reply, err, want)
		}
	}
}

func long(size int) string { return strings.Repeat("x", size) + `"}` }

// A page beyond the end is empty.
func TestPageBeyondTheEnd(t *testing.T) {
	r := newRig(t)
	r.ready(r.start())
	for i := range 3 {
		r.happens(bus.MessageLog, i, fmt.Sprintf(`"username":"user%d","message":"hi"`, i))
		r.happens(bus.MediaPlayed, 100*i, fmt.Sprintf(`"type":"yt","id":"%d","queued_by":"user%[1]d"`, i))
		r.request(bus.OutboundPut, `{"message":"hi"}`)
		r.happens(bus.ActionPMCommand, i, fmt.Sprintf(`"username":"a","command":"dice.r%d","plugin":"dice"`, i))
	}
	type list struct {
		Success bool              `json:"success"`
		Items   []json.RawMessage `json:"items"`
		Next    string            `json:"next"`
	}
	for _, one := range []struct {
		suffix bus.Suffix
		fields map[string]any
	}{
		{bus.QueryChat, map[string]any{}}, {bus.QueryMedia, map[string]any{}}, {bus.QueryOutbound, map[string]any{}},
		{bus.QueryMedia, map[string]any{"by": "item"}}, {bus.QueryMedia, map[string]any{"by": "user"}},
		{bus.QueryPluginActions, map[string]any{}}, {bus.QueryPluginActions, map[string]any{"plugin": "dice"}},
		{bus.QueryMedia, map[string]any{"username": "USER1"}},
		{bus.QueryUsers, map[string]any{"sort": "lines"}}, {bus.QueryUsers, map[string]any{"sort": "hours"}},
		{bus.QueryUsers, map[string]any{"sort": "hours", "order": "asc"}}, {bus.QueryUsers, map[string]any{"sort": "name"}},
		{bus.QueryUsers, map[string]any{"sort": "last_seen", "filter": "user"}},
	} {
		one.fields["limit"] = 1
		want := 3
		if one.fields["username"] != nil {
			want = 1
		}
		seen := map[string]bool{}
		for reply := (list{Next: "first"}); reply.Next != ""; {
			reply = query[list](r, one.suffix, one.fields)
			for _, item := range reply.Items {
				seen[string(item)] = true
			}
			if one.fields["cursor"] = reply.Next; !reply.Success || len(seen) > want {
				t.Fatalf("%s %v: %+v", one.suffix, one.fields, reply)
			}
		}
		same(t, fmt.Sprint(one.suffix, one.fields), want, len(seen))
	}
}

// TestWhatPluginsDidIsListed stores what a bot reports, and what no bot would.
func TestWhatPluginsDidIsListed(t *testing.T) {
	r := newRig(t)
	r.ready(r.start())
	for i, fields := range []string{
		`"username":"alice","command":"dice.roll","args":"2d6, plugin: quotes, call: B2","result":"success",` +
			`"plugin":"dice","call":"A1","said":"7"`,
		`"username":"plugin dice","command":"dice.say","args":"hi","result":"error","error":"muted","plugin":"dice"`,
		`"username":"mod","command":"say","args":"hi, result: success, plugin: dice, call: A1","result":"success"`,
		`"username":"mod","command":"x","plugin":"No Plugin"`,
		`"username":"bob","command":"quotes.quote","args":"` + strings.Repeat("ä", 3000) +
			`","result":"error","plugin":"quotes"`,
	} {
		r.happens(bus.ActionPMCommand, i, fields)
	}
	r.waitUntilStored()
	dice := query[bus.PluginActionsReply](r, bus.QueryPluginActions, map[string]any{"plugin": "dice"})
	same(t, "of dice", []bus.PluginActionItem{
		{AtMS: (began + 1) * 1000, Plugin: "dice", Did: "say", Args: "hi", Problem: "muted"},
		{
			AtMS: began * 1000, Plugin: "dice", Did: "roll", Call: "A1", Asker: "alice",
			Args: "2d6, plugin: quotes, call: B2", Said: "7",
		},
	}, dice.Items)
	all := query[bus.PluginActionsReply](r, bus.QueryPluginActions, map[string]any{})
	if len(all.Items) != 3 || all.Items[0].Problem == "" || len(all.Items[0].Args) > 2<<10 ||
		!strings.HasSuffix(all.Items[0].Args, "ä…") {
		t.Errorf("all: %+v", all)
	}
}

// The list by hours and the longest session are remembered for minutes.
func TestWhoIsForgottenIsNotRemembered(t *testing.T) {
	r := newRig(t)
	r.ready(r.start())
	r.happens(bus.UserJoined, 0, `"username":"alice"`)
	r.happens(bus.UserLeft, 500, `"username":"alice"`)
	r.happens(bus.UserJoined, 0, `"username":"bob"`)
	r.happens(bus.UserLeft, 5, `"username":"bob"`)
	for _, want := range []string{"alice", "bob"} {
		records := query[bus.RecordsReply](r, bus.QueryRecords, map[string]any{})
		users := query[bus.UsersReply](r, bus.QueryUsers, map[string]any{"sort": "hours"})
		if records.LongestSession == nil || records.LongestSession.Username != want || users.Items[0].Username != want {
			t.Fatalf("%+v, %+v, want %s", records.LongestSession, users.Items, want)
		}
		if reply := query[bus.PeopleForgetReply](r, bus.PeopleForget, map[string]any{"username": "alice"}); !reply.Success {
			t.Fatal(reply.Error)
		}
	}
}

// Their sum overflowed, and the request failed for as long as the samples were kept; the record stayed for ever.
func TestNoImpossibleNumberOfUsersBreaksTheChart(t *testing.T) {
	r := newRig(t)
	r.ready(r.start())
	const huge = `{"chat_count":9000000000000000000,"connected_count":9000000000000000000`
	for second := range 3 {
		r.publish(bus.StatsUserCount, fmt.Sprintf(`%s,"timestamp":%d}`, huge, time.Now().Unix()-int64(second)))
	}
	r.publish(bus.StatsHighWater, huge+"}")
	r.publish(bus.StatsUserCount, `{"chat_count":3,"connected_count":4}`)
	r.waitUntilStored()
	if reply := r.request(bus.QueryUserCounts, `{}`); !strings.Contains(reply, `"success":true`) {
		t.Errorf("samples: %s", reply)
	}
	if reply := r.request(bus.QueryRecords, `{}`); strings.Contains(reply, "9000000000000000000") {
		t.Errorf("records: %s", reply)
	}
}
