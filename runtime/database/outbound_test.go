package database_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/store"
)

func (r *rig) put(body string) bus.OutboundPutReply { return r.putTo(bus.OutboundPut, body) }

func (r *rig) putTo(suffix bus.Suffix, body string) bus.OutboundPutReply {
	r.t.Helper()
	var reply bus.OutboundPutReply
	if err := json.Unmarshal([]byte(r.request(suffix, body)), &reply); err != nil {
		r.t.Fatal(err)
	}
	return reply
}

func (r *rig) get(body string) (messages []bus.OutboundMessage) {
	r.t.Helper()
	if err := json.Unmarshal([]byte(r.request(bus.OutboundGet, body)), &messages); err != nil {
		r.t.Fatal(err)
	}
	return messages
}

func outboundTexts(messages []bus.OutboundMessage) (texts []string) {
	for _, message := range messages {
		texts = append(texts, message.Message)
	}
	return texts
}

func TestOutboundFromPutToSent(t *testing.T) {
	r := newRig(t)
	r.ready(r.start(listing("music")))
	first := r.put(`{"message":"hi <b>","client_id":"1"}`)
	if !first.Success || first.ID == 0 {
		t.Fatalf("put: %+v", first)
	}
	same(t, "the same request again", first, r.put(`{"message":"hi <b>","client_id":"1"}`))
	other := r.put(`{"message":"ho","client_id":"2"}`)
	r.put(`{"message":"elsewhere","client_id":"1","channel":"music"}`)

	got := r.get(`{"limit":1,"claimant":"pod-a"}`)
	if len(got) != 1 || got[0].Message != "hi <b>" || got[0].LeaseSeconds != 60 ||
		!got[0].ClaimedSince.IsZero() {
		t.Errorf("pod a gets %+v, want the first with a claim duration and without an earlier claim", got)
	}
	same(t, "pod b", []string{"ho"}, outboundTexts(r.get(`{"claimant":"pod-b"}`)))
	same(t, "no claimant", []string(nil), outboundTexts(r.get(`{}`)))
	got = r.get(`{"claimant":"pod-a"}`)
	if len(got) != 1 || got[0].ID != first.ID || got[0].ClaimedSince.IsZero() {
		t.Errorf("pod a gets %+v, want the first with the time of its first claim", got)
	}

	sent := fmt.Sprintf(`{"message_id":%d}`, first.ID)
	r.exchange(
		exchange{bus.OutboundSent, sent, `{"success":true}`},
		exchange{bus.OutboundSent, sent, `{"success":true}`},
		exchange{bus.OutboundFailed, fmt.Sprintf(`{"message_id":%d,"error":"flood","permanent":false,"retry_count":0,`+
			`"claimant":"pod-b"}`, other.ID), `{"success":true}`},
		exchange{bus.OutboundFailed, `{"error":"flood"}`,
			`{"success":false,"error":"message_id: expected a whole number"}`},
		exchange{bus.OutboundFailed, fmt.Sprintf(`{"message_id":%d,"error":"flood"}`, other.ID),
			`{"success":false,"error":"retry_count: expected a whole number"}`},
	)
	same(t, "nothing is due", []string(nil), outboundTexts(r.get(`{"claimant":"pod-b"}`)))
}

// TestALineIsAnnounced checks the announcements of lines, which tell the bot to ask at once.
func TestALineIsAnnounced(t *testing.T) {
	r := newRig(t)
	r.ready(r.start(listing("Music")))
	announced, err := r.client.SubscribeSync("rosey.outbound.>")
	if err != nil {
		t.Fatal(err)
	}
	if err := r.client.Flush(); err != nil {
		t.Fatal(err)
	}
	r.put(`{"message":"hi"}`)
	r.put(`{"message":"hi","channel":"music"}`)
	r.putTo(bus.OutboundPutCommand, `{"message":"/clear"}`)
	r.put(`{"message":" "}`) // refused
	r.put(`{"message":"hi","channel":"elsewhere"}`)
	if err := r.client.Flush(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for pending, _, _ := announced.Pending(); len(got) < pending; {
		message, err := announced.NextMsg(time.Second)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, message.Subject+" "+string(message.Data))
	}
	movie := `rosey.outbound.movies.waiting {"server":"https://cytu.be","channel":"movies"}`
	same(t, "announcements", []string{movie,
		`rosey.outbound.music.waiting {"server":"https://cytu.be","channel":"Music"}`, movie}, got)
}

// TestWhenTheNextLineIsDue checks the header of the reply, which tells the bot when to ask again.
func TestWhenTheNextLineIsDue(t *testing.T) {
	r := newRig(t)
	r.ready(r.start())
	nextDue := func(body string) time.Duration {
		t.Helper()
		message, err := r.client.Request("rosey."+string(bus.OutboundGet), []byte(body), 10*time.Second)
		if err != nil {
			t.Fatal(err)
		}
		var reply bus.OutboundReply
		if reply.SetHeader(message.Header); reply.NextDue == nil {
			t.Fatalf("no header %s: %v", bus.NextDueHeader, message.Header)
		}
		return *reply.NextDue
	}
	same(t, "nothing waits", bus.MaxNextDue, nextDue(`{"claimant":"a"}`))
	id := r.put(`{"message":"one"}`).ID
	r.request(bus.OutboundFailed, fmt.Sprintf(`{"message_id":%d,"error":"flood","retry_count":0,"timestamp":%d}`, id,
		time.Now().Add(-90*time.Second).Unix()))
	if due := nextDue(`{"claimant":"b"}`); due <= 0 || due > 31*time.Second {
		t.Errorf("the back-off of 2 minutes that began 90 s ago ends in %s", due)
	}
	r.request(bus.OutboundSent, fmt.Sprintf(`{"message_id":%d}`, id))
	r.put(`{"message":"two"}`)
	same(t, "as many as asked for", time.Duration(0), nextDue(`{"claimant":"a","limit":1}`))
	if due := nextDue(`{"claimant":"b"}`); due <= 0 || due > store.ClaimDuration {
		t.Errorf("the claim of another bot ends in %s", due)
	}
}

func TestOutboundFailures(t *testing.T) {
	r := newRig(t)
	r.ready(r.start())
	id := r.put(`{"message":"hi"}`).ID
	const hourAgo = 3600
	// With an old time of the attempt, so that it is due again at once.
	past := fmt.Sprintf(`"timestamp":%d`, 1763700000-hourAgo)
	r.publish(bus.OutboundFailed, fmt.Sprintf(`{"message_id":%d,"error":"flood <1>","retry_count":0,%s}`, id, past))
	r.publish(bus.OutboundFailed, fmt.Sprintf(`{"message_id":%d,"error":"again","retry_count":0,%s}`, id, past))
	got := r.get(`{"max_retries":3}`)
	if len(got) != 1 || got[0].RetryCount != 1 || *got[0].LastError != "flood <1>" || *got[0].ErrorMessage != "flood <1>" {
		t.Errorf("%+v, want one failure in both fields", got)
	}
	same(t, "one retry allowed", []string(nil), outboundTexts(r.get(`{"max_retries":1}`)))
	r.publish(bus.OutboundFailed,
		fmt.Sprintf(`{"message_id":%d,"error":"muted","permanent":1,"retry_count":1,%s}`, id, past))
	same(t, "permanent", []string(nil), outboundTexts(r.get(`{"max_retries":100}`)))
}

func TestOutboundPutErrors(t *testing.T) {
	r := newRig(t)
	r.ready(r.start())
	for body, want := range map[string]string{
		`{}`:                         "message: expected",
		`{"message":" \n"}`:          "message: expected",
		`{"message":7}`:              "field message",
		`{"message":"a","channel":}`: "JSON",
		``:                           "JSON",
		`{"message":"` + strings.Repeat("x", bus.MaxOutboundBytes+1) + `"}`: "4097 bytes, expected at most 4096",
	} {
		if reply := r.put(body); reply.Success || !strings.Contains(reply.Error, want) {
			t.Errorf("%.40s: %+v, want an error with %q", body, reply, want)
		}
	}
	same(t, "waiting", []string(nil), outboundTexts(r.get(`{}`)))
}

// TestNoCommandWithoutItsPermission checks that what was put as a line is no command, since NATS has a permission for
// each of the two subjects.
func TestNoCommandWithoutItsPermission(t *testing.T) {
	r := newRig(t)
	r.ready(r.start())
	for _, text := range []string{
		`/kick alice`, `\u0000/kick alice`, ` /kick alice`, `hi\n/kick alice`, `/`, `/me waves`,
	} {
		reply := r.put(`{"message":"` + text + `"}`)
		if reply.Success || !strings.Contains(reply.Error, "db.messages.outbound.put_command, which needs a permission") {
			t.Errorf("put %s: %+v", text, reply)
		}
	}
	for _, text := range []string{`kick alice`, ` /kick alice`, `/me waves\n/kick alice`, `/kick alice\n`, `\u0000/kick`} {
		reply := r.putTo(bus.OutboundPutCommand, `{"message":"`+text+`"}`)
		if reply.Success || !strings.Contains(reply.Error, `expected one line that begins with "/"`) {
			t.Errorf("put_command %s: %+v", text, reply)
		}
	}
	if reply := r.putTo(bus.OutboundPutCommand, `{"message":"/kick alice","client_id":"1"}`); !reply.Success {
		t.Errorf("%+v", reply)
	}
	if reply := r.put(`{"message":"https://cytu.be/r/movies and/or"}`); !reply.Success {
		t.Errorf("%+v", reply)
	}
	same(t, "waiting", []string{"/kick alice", "https://cytu.be/r/movies and/or"}, outboundTexts(r.get(`{}`)))
}

// The Python bot requests 20 messages and does not report those that it cannot send.
func TestUnreportedMessagesDoNotBlockOthers(t *testing.T) {
	r := newRig(t)
	r.ready(r.start())
	for i := range 20 {
		r.put(fmt.Sprintf(`{"message":"stuck %d"}`, i))
	}
	r.put(`{"message":"good"}`)
	const polls = 10
	for range polls {
		got := r.get(`{"limit":20,"max_retries":3}`)
		if len(got) != 20 {
			t.Fatalf("%d messages, want 20", len(got))
		}
		if got[0].Message == "good" {
			return
		}
	}
	t.Errorf("in %d requests the good message was not handed out", polls)
}
