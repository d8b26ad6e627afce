package database_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/store"
)

// edgeCase is a message, how it is counted, and the rows that it makes in an empty database.
type edgeCase struct {
	suffix  bus.Suffix
	body    string
	outcome string
	rows    string // as described by describeRows
	// after is an event that is published and stored before.
	after string
}

// The edge cases of the Python service and others like them. docs/compatibility.md says what the Python service does.
var edgeCases = []edgeCase{
	{bus.UserJoined, `{"username":""}`, "ignored", "", ""},
	{bus.UserJoined, `{}`, "ignored", "", ""},
	{bus.UserJoined, `{"username":null}`, "ignored", "", ""},
	{bus.UserJoined, `{"username":0}`, "ignored", "", ""},
	{bus.UserJoined, `{"username":false}`, "ignored", "", ""},
	{bus.UserJoined, `{"username":" "}`, "stored", "user ' ' 0 open", ""},
	{bus.UserJoined, `{"username":5}`, "stored", "user '5' 0 open", ""},
	{bus.UserJoined, `{"username":true}`, "invalid", "dead: field username", ""},
	{bus.UserJoined, `{"username":["a"]}`, "invalid", "dead: field username", ""},
	{bus.UserJoined, `{"username":"a","channel":5}`, "invalid", "dead: field channel", ""},
	{bus.UserJoined, `{"username":"ALICE"}`, "stored", "user 'ALICE' 0 open", "db.user.joined {\"username\":\"alice\"}"},
	{bus.UserLeft, `{"username":"a"}`, "stored", "user 'a' 0", ""},
	{bus.UserLeft, `{"username":""}`, "ignored", "", ""},
	{bus.UserLeft, `{"username":"a"}`, "stored", "user 'a' 0", "db.user.joined {\"username\":\"a\"}"},

	{bus.MessageLog, `{"username":"a","message":"hi"}`, "stored", "chat a: hi; user 'a' 1", ""},
	{
		bus.MessageLog, `{"username":"SERVER","message":"hi"}`, "ignored", "user 'SERVER' 0 open",
		"db.user.joined {\"username\":\"SERVER\"}",
	},
	{bus.MessageLog, `{"username":"server","message":"hi"}`, "ignored", "", ""},
	{bus.MessageLog, `{"username":"a","message":""}`, "ignored", "", ""},
	{bus.MessageLog, `{"username":"","message":"hi"}`, "ignored", "", ""},
	{bus.MessageLog, `{"username":"a","message":5}`, "stored", "chat a: 5; user 'a' 1", ""},
	{bus.MessageLog, `{"username":"a","message":"hi","x":1}`, "stored", "chat a: hi; user 'a' 1", ""},
	{bus.MessageLog, `{"username":"a","message":"hi","timestamp":"now"}`, "stored", "chat a: hi; user 'a' 1", ""},
	{bus.MessageLog, `{"username":"a","message":"hi","timestamp":-1}`, "stored", "chat a: hi; user 'a' 1", ""},
	{bus.MessageLog, "{\"username\":\"a\",\"message\":\"\xff\"}", "stored", "chat a: \uFFFD; user 'a' 1", ""},
	{bus.MessageLog, `{"username":"a","message":"x\u0000"}`, "stored", "chat a: x\uFFFD; user 'a' 1", ""},
	{bus.MessageLog, `{"username":"a","message":"hi"`, "invalid", "dead: not a JSON object", ""},
	{bus.MessageLog, `null`, "invalid", "dead: not a JSON object", ""},
	{bus.MessageLog, `["a","hi"]`, "invalid", "dead: not a JSON object", ""},
	{bus.MessageLog, `7`, "invalid", "dead: not a JSON object", ""},
	{bus.MessageLog, ``, "invalid", "dead: not a JSON object", ""},
	{bus.MessageLog, "\xff\xfe", "invalid", "dead: not a JSON object", ""},

	{bus.StatsUserCount, `{}`, "stored", "count 0/0", ""},
	{bus.StatsUserCount, `{"chat_count":5,"connected_count":2}`, "stored", "count 5/2", ""},
	{bus.StatsUserCount, `{"chat_count":"5","connected_count":7}`, "stored", "count 5/7", ""},
	{bus.StatsUserCount, `{"chat_count":5.0,"connected_count":"7.0"}`, "stored", "count 5/7", ""},
	{bus.StatsUserCount, `{"chat_count":1.5,"connected_count":7}`, "invalid", "dead: field chat_count", ""},
	{bus.StatsUserCount, `{"chat_count":5,"connected_count":NaN}`, "invalid", "dead: not a JSON object", ""},
	{bus.StatsUserCount, `{"chat_count":5,"connected_count":null}`, "invalid", "dead: field connected_count", ""},
	{bus.StatsUserCount, `{"chat_count":-1,"connected_count":5}`, "invalid", "dead: expected 0 or more", ""},
	{bus.StatsUserCount, `{"chat_count":1000001,"connected_count":5}`, "invalid", "dead: and at most 1000000", ""},
	{bus.StatsUserCount, `{"chat_count":9000000000000000000}`, "invalid", "dead: field chat_count", ""},
	{bus.StatsHighWater, `{"chat_count":5,"connected_count":1000001}`, "invalid", "dead: expected at most 1000000", ""},
	{bus.StatsHighWater, `{"chat_count":"5"}`, "stored", "high 5/0", ""},
	{bus.StatsHighWater, `{"chat_count":"x"}`, "invalid", "dead: field chat_count", ""},
	{bus.StatsHighWater, `{"chat_count":5,"connected_count":null}`, "stored", "high 5/0", ""},
	{bus.StatsHighWater, `{"chat_count":3,"connected_count":0}`, "stored", "high 5/7", "db.stats.high_water " +
		`{"chat_count":5,"connected_count":7}`},

	{bus.StatusUpdate, `{"status_data":{"no_such_key":1}}`, "ignored", "", ""},
	{bus.StatusUpdate, `{"status_data":{}}`, "ignored", "", ""},
	{bus.StatusUpdate, `{}`, "ignored", "", ""},
	{bus.StatusUpdate, `{"status_data":[1]}`, "invalid", "dead: field status_data", ""},
	{
		bus.StatusUpdate, `{"status_data":{"bot_name":{"a":1},"bot_rank":3,"bot_afk":true}}`, "stored",
		`status {"bot_afk":true,"bot_rank":3}; dead: bot_name`, "",
	},
	{bus.StatusUpdate, `{"status_data":{"bot_name":{"a":1}}}`, "invalid", "dead: bot_name", ""},
	{
		bus.StatusUpdate, `{"status_data":{"bot_rank":"2.5","bot_name":7,"current_media_duration":90.5}}`, "stored",
		`status {"bot_name":"7","bot_rank":2.5,"current_media_duration":90}`, "",
	},
	{
		bus.StatusUpdate, `{"status_data":{"current_media_title":null,"playlist_items":2}}`, "stored",
		`status {"current_media_title":"T","playlist_items":2}`,
		"db.status.update " + `{"status_data":{"current_media_title":"T"}}`,
	},

	{bus.OutboundSent, `{"message_id":"1"}`, "stored", "", ""},
	{bus.OutboundSent, `{"message_id":1.0}`, "stored", "", ""},
	{bus.OutboundSent, `{"message_id":null}`, "ignored", "", ""},
	{bus.OutboundSent, `{"message_id":"x"}`, "invalid", "dead: field message_id", ""},
	{bus.OutboundSent, `{"message_id":1,"message_timestamp":1763700000}`, "stored", "", ""},
	{bus.OutboundFailed, `{"message_id":4711,"retry_count":0,"error":"flood"}`, "stored", "", ""},
	{bus.OutboundFailed, `{"message_id":4711,"error":"flood"}`, "invalid", "dead: field retry_count", ""},
	{bus.OutboundFailed, `{"error":"flood"}`, "ignored", "", ""},

	{
		bus.ActionPMCommand, `{"timestamp":1763700000.5,"username":"mod","command":"say","args":"hi","result":"success",` +
			`"error":null}`, "stored", "action mod pm_command cmd=say, args: hi, result: success", "",
	},
	{
		bus.ActionPMCommand, `{"username":"mod","command":"say","result":"error","error":"muted"}`, "stored",
		"action mod pm_command cmd=say, result: error, error: muted", "",
	},
	{
		bus.ActionPMCommand, `{"username":"mod","command":"help"}`, "stored",
		"action mod pm_command cmd=help, result: unknown", "",
	},
	{
		bus.ActionPMCommand, `{"username":"mod","command":"dice.roll","result":"success","plugin":"dice","call":"A1",` +
			`"said":"7"}`,
		"stored", "action mod pm_command cmd=dice.roll, result: success, plugin: dice, call: A1, said: 7", "",
	},
	{bus.ActionPMCommand, `{"username":"mod"}`, "ignored", "", ""},
	{bus.ActionPMCommand, `{"command":"say"}`, "ignored", "", ""},
	{bus.ActionPMCommand, `{"username":"mod","command":["say"]}`, "invalid", "dead: field command", ""},
}

func TestEdgeCasesOfThePythonService(t *testing.T) {
	for _, test := range edgeCases {
		t.Run(string(test.suffix)+" "+test.body, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			s := r.ready(r.start())
			if suffix, body, found := strings.Cut(test.after, " "); found {
				r.publish(bus.Suffix(suffix), body)
				r.waitUntilStored()
				// Of two messages without a time that arrive in the same millisecond, neither is the later one.
				arrived := time.Now().UnixMilli()
				natstest.Eventually(t, "the next millisecond", func() bool { return time.Now().UnixMilli() > arrived })
			}
			before := r.count(s, test.suffix, test.outcome)
			r.publish(test.suffix, test.body)
			r.waitUntilStored()
			if got := r.count(s, test.suffix, test.outcome); got != before+1 {
				t.Errorf("counted %v times as %s, want once", got-before, test.outcome)
			}
			if got := r.describeRows(); !rowsMatch(got, test.rows) {
				t.Errorf("the database has %q, want %q", got, test.rows)
			}
		})
	}
}

// rowsMatch compares descriptions of rows. want has a part of the reason of a dead letter.
func rowsMatch(got, want string) bool {
	gotRows, gotDead, gotAny := strings.Cut(got, "dead: ")
	wantRows, wantDead, wantAny := strings.Cut(want, "dead: ")
	return gotRows == wantRows && gotAny == wantAny && strings.Contains(gotDead, wantDead)
}

// describeRows returns all rows in short.
func (r *rig) describeRows() string {
	r.t.Helper()
	db, ctx := r.openReadOnly(), r.t.Context()
	var rows []string
	note := func(format string, arguments ...any) { rows = append(rows, fmt.Sprintf(format, arguments...)) }
	for _, line := range mustQuery(r, db.RecentChat)(ctx, movies, 100) {
		note("chat %s: %s", line.Username, line.Text)
	}
	users, err := db.Users(ctx, movies)
	for _, user := range users {
		open := ""
		if user.SessionStart != nil {
			open = " open"
		}
		note("user '%s' %d%s", user.Username, user.Lines, open)
	}
	for _, sample := range mustQuery(r, db.UserCounts)(ctx, movies, 100) {
		note("count %d/%d", sample.Chat, sample.Connected)
	}
	maxima, maximaErr := db.HighWater(ctx, movies)
	if maxima.Chat+maxima.Connected > 0 {
		note("high %d/%d", maxima.Chat, maxima.Connected)
	}
	status, statusErr := db.Status(ctx, movies)
	if encoded, _ := json.Marshal(status); string(encoded) != "{}" {
		note("status %s", encoded)
	}
	for _, action := range mustQuery(r, db.Actions)(ctx, movies, 100) {
		note("action %s %s %s", action.Username, action.Type, action.Details)
	}
	deadLetters, lettersErr := db.DeadLetters(ctx, "", 0, 100)
	for _, deadLetter := range deadLetters {
		note("dead: %s", deadLetter.Reason)
	}
	for _, problem := range []error{err, maximaErr, statusErr, lettersErr} {
		if problem != nil {
			r.t.Fatal(problem)
		}
	}
	return strings.Join(rows, "; ")
}

// Odd bodies of requests to which the Python service replies.
func TestEdgeCasesOfRequests(t *testing.T) {
	r := newRig(t)
	r.ready(r.start(enqueue(time.UnixMilli(1763700000000), "m")))
	r.publish(bus.MessageLog, `{"username":"alice","message":"a","timestamp":1763700000}`)
	r.publish(bus.MessageLog, `{"username":"alice","message":"b","timestamp":1763700000}`, "1/db.message.log")
	for _, body := range []string{
		`{"limit":0}`, `{"limit":-1}`, `{"limit":null}`, `{"limit":1.5}`, `{"limit":"x"}`, `{"max_retries":0}`,
		`{"max_retries":null}`, `null`, `[]`, `7`, `{`, "\xff", ``, `{"claimant":7}`,
	} {
		sameJSON(t, "outbound.get "+body, `[]`, r.request(bus.OutboundGet, body))
	}
	for _, body := range []string{`{"limit":0}`, `{"limit":-1}`, `{"limit":null}`, `[]`, ``} {
		sameJSON(t, "recent_chat.get "+body, `[]`, r.request(bus.StatsRecentChat, body))
	}
	r.request(bus.OutboundSent, `{"message_id":"x"}`)
	for _, suffix := range []bus.Suffix{bus.OutboundGet, bus.StatsRecentChat, bus.KVGet, bus.MaintenanceRun} {
		r.publish(suffix, `{}`) // without a reply subject
	}
	r.waitUntilStored()
	if rows := r.describeRows(); strings.Contains(rows, "dead") {
		t.Errorf("an invalid request became a dead letter: %s", rows)
	}
}

func mustQuery[T any](
	r *rig, query func(context.Context, store.Channel, int) ([]T, error),
) func(context.Context, store.Channel, int) []T {
	r.t.Helper()
	return func(ctx context.Context, channel store.Channel, limit int) []T {
		r.t.Helper()
		rows, err := query(ctx, channel, limit)
		if err != nil {
			r.t.Fatal(err)
		}
		return rows
	}
}
