package database_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
)

// The exact messages of the Python bot, and the rows that they must become.
func TestPythonBotEvents(t *testing.T) {
	r := newRig(t)
	r.ready(r.start())
	began := time.Now().Truncate(time.Millisecond)
	r.publish(bus.UserJoined, `{"username":"alice"}`)
	r.publish(bus.StatsHighWater, `{"chat_count":5,"connected_count":7}`)
	r.publish(bus.MessageLog, `{"username":"alice","message":"hi"}`)
	r.publish(bus.StatsUserCount, `{"chat_count":5,"connected_count":5}`)
	r.publish(bus.StatusUpdate, `{"status_data":{"bot_name":"bot","bot_rank":3,"bot_afk":0,"channel_name":"c",`+
		`"current_chat_users":5,"current_connected_users":7,"bot_start_time":1763700000,"bot_connected":1,`+
		`"playlist_items":2,"current_media_title":"T","current_media_duration":90}}`)
	r.publish(bus.UserLeft, `{"username":"alice"}`)
	r.waitUntilStored()

	db, ctx := r.openReadOnly(), t.Context()
	users, err := db.Users(ctx, movies)
	if err != nil || len(users) != 1 {
		t.Fatalf("users: %+v, %v; want one", users, err)
	}
	alice := users[0]
	if alice.Username != "alice" || alice.Lines != 1 || alice.SessionStart != nil {
		t.Errorf("user: %+v, want alice with one line and no open session", alice)
	}
	if alice.FirstSeen.Before(began) || alice.FirstSeen.After(time.Now()) {
		t.Errorf("first seen %v, want the time of arrival", alice.FirstSeen)
	}
	same(t, "lines", []string{"hi"}, r.texts())
	maxima, err := db.HighWater(ctx, movies)
	if err != nil || maxima.Chat != 5 || maxima.Connected != 7 {
		t.Errorf("maxima: %+v, %v", maxima, err)
	}
	counts, err := db.UserCounts(ctx, movies, 10)
	if err != nil || len(counts) != 1 || counts[0].Chat != 5 || counts[0].Connected != 5 {
		t.Errorf("samples: %+v, %v", counts, err)
	}
	status, err := db.Status(ctx, movies)
	if err != nil {
		t.Error(err)
	}
	encoded, err := json.Marshal(status)
	if err != nil {
		t.Error(err)
	}
	same(t, "status", `{"bot_afk":false,"bot_connected":true,"bot_name":"bot","bot_rank":3,"bot_start_time":1763700000,`+
		`"channel_name":"c","current_chat_users":5,"current_connected_users":7,"current_media_duration":90,`+
		`"current_media_title":"T","playlist_items":2}`, string(encoded))
}

// A clock that was never set must not make a user of today one of 1970.
func TestATimeBeforeCyTubeIsNoTime(t *testing.T) {
	r := newRig(t)
	r.ready(r.start())
	began := time.Now().Truncate(time.Millisecond)
	for _, stated := range []string{"1", "86400.5", "0", "631151999"} {
		r.publish(bus.UserJoined, `{"username":"alice","timestamp":`+stated+`}`)
		r.publish(bus.UserLeft, `{"username":"alice","timestamp":`+stated+`}`)
	}
	r.publish(bus.UserJoined, `{"username":"bob","timestamp":631152000}`)
	r.waitUntilStored()
	users, err := r.openReadOnly().Users(t.Context(), movies)
	if err != nil || len(users) != 2 {
		t.Fatalf("users: %+v, %v; want two", users, err)
	}
	if alice := users[0]; alice.FirstSeen.Before(began) {
		t.Errorf("%s was seen first at %v, want the time of arrival", alice.Username, alice.FirstSeen)
	}
	if bob := users[1]; !bob.FirstSeen.Equal(time.Unix(631152000, 0)) {
		t.Errorf("%s was seen first at %v, want the time that the event states", bob.Username, bob.FirstSeen)
	}
}

// Requests of the Python bot and of others, and the replies that the Python service gives to them.
func TestRepliesEqualThePythonService(t *testing.T) {
	r := newRig(t)
	at := time.UnixMilli(1763700000999)
	r.ready(r.start(enqueue(at, "m", "second", "third")))
	for i, text := range []string{"one", "two <b>", "three"} {
		r.publish(bus.MessageLog, fmt.Sprintf(`{"username":"alice","message":%q,"timestamp":%d}`, text, 1763700000+i))
	}
	row := func(id int, text string) string {
		return fmt.Sprintf(
			`{"id":%d,"timestamp":1763700000,"message":%q,"retry_count":0,"last_error":null,"error_message":null}`, id, text)
	}
	line := func(i int, text string) string {
		return fmt.Sprintf(`{"timestamp":%d,"username":"alice","message":%q}`, 1763700000+i, text)
	}
	waiting := "[" + row(1, "m") + "," + row(2, "second") + "," + row(3, "third") + "]"
	chat := "[" + line(0, "one") + "," + line(1, "two <b>") + "," + line(2, "three") + "]"
	for _, test := range []struct {
		suffix     bus.Suffix
		body, want string
	}{
		{bus.OutboundGet, `{"limit":20,"max_retries":3}`, waiting},
		{bus.OutboundGet, `{}`, waiting},
		{bus.OutboundGet, `{"limit":2,"unknown":[1]}`, "[" + row(1, "m") + "," + row(2, "second") + "]"},
		{bus.OutboundGet, `{"limit":"1","max_retries":"3"}`, "[" + row(1, "m") + "]"},
		{bus.OutboundGet, `{"limit":1.0,"max_retries":3.0}`, "[" + row(1, "m") + "]"},
		{bus.OutboundGet, `{"limit":0}`, "[]"},
		{bus.OutboundGet, `{"limit":-1}`, "[]"},
		{bus.OutboundGet, `{"limit":null}`, "[]"},
		{bus.OutboundGet, `{"limit":1.5}`, "[]"},
		{bus.OutboundGet, `{"limit":"x"}`, "[]"},
		{bus.OutboundGet, `{"max_retries":0}`, "[]"},
		{bus.OutboundGet, `{"max_retries":null}`, "[]"},
		{bus.OutboundGet, `{"channel":"elsewhere"}`, "[]"},
		{bus.OutboundGet, `null`, "[]"},
		{bus.OutboundGet, `[]`, "[]"},
		{bus.OutboundGet, `7`, "[]"},
		{bus.OutboundGet, `{"limit":`, "[]"},
		{bus.OutboundGet, "\xff\xfe", "[]"},
		{bus.OutboundGet, ``, "[]"},
		{bus.StatsRecentChat, `{"limit":50}`, chat},
		{bus.StatsRecentChat, `{}`, chat},
		{bus.StatsRecentChat, `{"limit":2}`, "[" + line(1, "two <b>") + "," + line(2, "three") + "]"},
		{bus.StatsRecentChat, `{"limit":2.0}`, "[" + line(1, "two <b>") + "," + line(2, "three") + "]"},
		{bus.StatsRecentChat, `{"limit":0}`, "[]"},
		{bus.StatsRecentChat, `{"limit":-1}`, "[]"},
		{bus.StatsRecentChat, `{"channel":"MOVIES","server":"https://cytu.be/"}`, chat},
		{bus.StatsRecentChat, `{"channel":"movies","server":"https://other.example"}`, "[]"},
		{bus.StatsRecentChat, `"no object"`, "[]"},
	} {
		sameJSON(t, string(test.suffix)+" "+test.body, test.want, r.request(test.suffix, test.body))
	}

	// A request without a reply subject is ignored.
	r.publish(bus.OutboundGet, `{}`)
	r.publish(bus.OutboundSent, `{"message_id":1}`)
	sameJSON(t, "after mark_sent", "["+row(2, "second")+","+row(3, "third")+"]", r.request(bus.OutboundGet, `{}`))
	sameJSON(t, "mark_sent with a reply", `{"success":true}`, r.request(bus.OutboundSent, `{"message_id":"2"}`))
	sameJSON(t, "after the second", "["+row(3, "third")+"]", r.request(bus.OutboundGet, `{}`))
	sameJSON(t, "an unknown id", `{"success":true}`, r.request(bus.OutboundSent, `{"message_id":4711}`))
	for _, body := range []string{`{}`, `{"message_id":null}`, `{"message_id":"x"}`, `null`, `{`} {
		want := `{"success":false,"error":"message_id: expected a whole number"}`
		sameJSON(t, "mark_sent "+body, want, r.request(bus.OutboundSent, body))
	}
	sameJSON(t, "in the end", "["+row(3, "third")+"]", r.request(bus.OutboundGet, `{}`))
}
