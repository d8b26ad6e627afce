package database_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

// ask sends a request and decodes the reply.
func ask[T any](r *rig, suffix bus.Suffix, body string) (reply T) {
	r.t.Helper()
	data := r.request(suffix, body)
	if err := json.Unmarshal([]byte(data), &reply); err != nil {
		r.t.Fatalf("%s: %v: %s", suffix, err, data)
	}
	return reply
}

// Dead letters are listed, retried and dropped beside the service that has the database open.
func TestDeadLettersOfARunningService(t *testing.T) {
	r := newRig(t)
	r.addDeadLetters(
		store.NewDeadLetter("db.message.log", "1/db.message.log", "too early",
			[]byte(`{"username":"alice","message":"hi"}`), time.Now()),
		store.NewDeadLetter("db.message.log", "", "not JSON", []byte("]"), time.Now()),
		store.NewDeadLetter("db.message.log", "", "not JSON", []byte("\xff]"), time.Now()),
	)
	r.ready(r.start())

	listed := ask[bus.DeadListReply](r, bus.DeadList, `{}`)
	if !listed.Success || listed.More || len(listed.DeadLetters) != 3 || listed.DeadLetters[2].Payload != "\uFFFD]" {
		t.Fatalf("list: %+v", listed)
	}
	first := ask[bus.DeadListReply](r, bus.DeadList, `{"limit":2}`)
	rest := ask[bus.DeadListReply](r, bus.DeadList, fmt.Sprintf(`{"after":%d,"limit":2}`, first.DeadLetters[1].ID))
	if !first.More || rest.More || len(rest.DeadLetters) != 1 || rest.DeadLetters[0] != listed.DeadLetters[2] {
		t.Errorf("pages: %+v, %+v", first, rest)
	}

	ids := [3]int64{listed.DeadLetters[0].ID, listed.DeadLetters[1].ID, listed.DeadLetters[2].ID}
	retried := ask[bus.DeadChangeReply](r, bus.DeadRetry, fmt.Sprintf(`{"ids":[%d,%d,4711]}`, ids[0], ids[1]))
	if retried.Success || !slices.Equal(retried.Changed, []int64{ids[0]}) || len(retried.Failed) != 2 ||
		retried.Failed[0].ID != ids[1] || !strings.Contains(retried.Failed[1].Error, "4711: not found") {
		t.Errorf("retry: %+v", retried)
	}
	if chat := r.request(bus.StatsRecentChat, `{}`); !strings.Contains(chat, `"hi"`) {
		t.Errorf("chat after the retry: %s", chat)
	}
	dropped := ask[bus.DeadChangeReply](r, bus.DeadDrop, fmt.Sprintf(`{"ids":[%d,%d]}`, ids[1], ids[2]))
	if !dropped.Success || len(dropped.Changed) != 2 {
		t.Errorf("drop: %+v", dropped)
	}
	if left := ask[bus.DeadListReply](r, bus.DeadList, `{}`); len(left.DeadLetters) != 0 {
		t.Errorf("left: %+v", left)
	}
}

// Requests about dead letters are bounded, and say what was expected.
// Who may ask about one channel alone, such as a web page for people with tokens, must neither see nor change the dead
// letters of another channel that shares the database. What names no channel is of the service's own.
func TestDeadLettersOfOtherChannelsAreNeitherShownNorChanged(t *testing.T) {
	r := newRig(t)
	letter := func(payload string) store.DeadLetter {
		return store.NewDeadLetter("db.message.log", "", "a reason", []byte(payload), time.Now())
	}
	const own, music = `"server":"https://cytu.be","channel":"movies"`, `"server":"https://cytu.be/","channel":"Music"`
	var letters []store.DeadLetter
	for range 520 { // more than one request looks at
		letters = append(letters, letter(`{`+own+`,"message":1}`))
	}
	r.addDeadLetters(append(letters, letter(`{`+music+`,"message":"of music"}`), letter("]"), letter(`{"channel":5}`),
		letter(`{"server":"https://elsewhere.example","channel":"music"}`))...)
	r.ready(r.start(listing("music")))
	list := func(about string) (found []bus.DeadLetter) {
		after := int64(0)
		for more := true; more; {
			reply := ask[bus.DeadListReply](r, bus.DeadList, fmt.Sprintf(`{"after":%d%s}`, after, about))
			if !reply.Success || reply.More && reply.Next <= after {
				t.Fatalf("after %d: %+v", after, reply)
			}
			found, after, more = append(found, reply.DeadLetters...), reply.Next, reply.More
		}
		return found
	}
	if all := list(""); len(all) != 524 {
		t.Errorf("%d in all", len(all))
	}
	if found := list("," + own); len(found) != 522 {
		t.Errorf("%d of the service's own channel", len(found))
	}
	found := list("," + music)
	if len(found) != 1 || !strings.Contains(found[0].Payload, "of music") {
		t.Fatalf("of music: %+v", found)
	}
	first := list("")[0].ID
	for _, suffix := range []bus.Suffix{bus.DeadDrop, bus.DeadRetry} {
		reply := ask[bus.DeadChangeReply](r, suffix, fmt.Sprintf(`{"ids":[%d],%s}`, first, music))
		if reply.Success || len(reply.Changed) > 0 || !strings.Contains(reply.Failed[0].Error, "not found") {
			t.Errorf("%s of another channel: %+v", suffix, reply)
		}
	}
	reply := ask[bus.DeadChangeReply](r, bus.DeadDrop, fmt.Sprintf(`{"ids":[%d],%s}`, found[0].ID, music))
	if !reply.Success || len(list("")) != 523 {
		t.Errorf("drop: %+v, left %d", reply, len(list("")))
	}
	refused := ask[bus.DeadListReply](r, bus.DeadList, `{"channel":"other"}`)
	if refused.Success || !strings.Contains(refused.Error, "not served") {
		t.Errorf("a channel that is not served: %+v", refused)
	}
}

func TestRequestsAboutDeadLettersAreBounded(t *testing.T) {
	r := newRig(t)
	letters := make([]store.DeadLetter, 30)
	for i := range letters {
		// As JSON, each takes six times its size.
		letters[i] = store.NewDeadLetter("db.message.log", fmt.Sprint(i), "a reason",
			[]byte(strings.Repeat("\x01", store.MaxDeadLetterBytes)), time.Now())
	}
	r.addDeadLetters(letters...)
	r.ready(r.start())
	seen, last := 0, int64(0)
	for more := true; more; {
		reply := ask[bus.DeadListReply](r, bus.DeadList, fmt.Sprintf(`{"after":%d}`, last))
		if !reply.Success || len(reply.DeadLetters) == 0 {
			t.Fatalf("after %d of %d: %+v", seen, len(letters), reply)
		}
		seen, last, more = seen+len(reply.DeadLetters), reply.DeadLetters[len(reply.DeadLetters)-1].ID, reply.More
	}
	if seen != len(letters) {
		t.Errorf("%d dead letters on all pages, want %d", seen, len(letters))
	}
	many := "[" + strings.Repeat("1,", bus.MaxDeadChangeIDs) + "1]"
	for body, want := range map[string]string{
		`{"limit":101}`:        "limit: expected a number from 1 to 100",
		`{"limit":-1}`:         "limit: expected a number from 1 to 100",
		`{"after":"x"}`:        "field after",
		`x`:                    "JSON",
		`{"ids":[]}`:           "ids: expected 1 to 20, got 0",
		`{"ids":` + many + `}`: "ids: expected 1 to 20, got 21",
		`{"ids":["x"]}`:        "field ids",
	} {
		suffix := bus.DeadList
		if strings.Contains(body, "ids") {
			suffix = bus.DeadDrop
		}
		reply := ask[bus.DeadChangeReply](r, suffix, body)
		if reply.Success || !strings.Contains(reply.Error, want) {
			t.Errorf("%s: %+v, want %q", body, reply, want)
		}
	}
}

func (r *rig) addDeadLetters(letters ...store.DeadLetter) {
	r.t.Helper()
	db, err := r.sqlite(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := db.AddDeadLetters(r.t.Context(), letters, store.DeadLetterQuota{}); err != nil {
		r.t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		r.t.Fatal(err)
	}
}
