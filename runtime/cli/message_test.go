package cli

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
)

func message(subject bus.Suffix, body string) Message {
	return newMessage(subject, &nats.Msg{Data: []byte(body)}, time.Now())
}

func TestLine(t *testing.T) {
	for name, test := range map[string]struct {
		subject    bus.Suffix
		body, want string
	}{
		"chat": {
			bus.MessageLog, `{"username":"alice","message":"<b>hi</b> &amp; <img class=\"e\" title=\":bye:\"/>","channel":"c"}`,
			"alice: hi & :bye:",
		},
		"join":   {bus.UserJoined, `{"username":"alice","timestamp":1763700000}`, "alice"},
		"counts": {bus.StatsUserCount, `{"chat_count":5,"connected_count":null,"server":"https://c"}`, "chat_count=5"},
		"status": {
			bus.StatusUpdate, `{"status_data":{"bot_rank":2.5,"current_media_title":"A B","bot_afk":0}}`,
			`bot_afk=0 bot_rank=2.500 current_media_title="A B"`,
		},
		"event": {
			"events.cytube.c.message",
			`{"event":"message","user":"alice","content":"hi","user_data":{"rank":1},"platform_data":{"msg":"hi"}}`, "alice: hi",
		},
		"a line to say": {bus.OutboundPut, `{"message":"1 <b> &amp;"}`, "1 <b> &amp;"},
		"not an object": {"db.odd", `[1,2]`, "[1,2]"},
		"not JSON":      {"db.odd", "x\x1b[2J", "x\ufffd[2J"},
		"escapes":       {bus.MessageLog, `{"username":"a","message":"x\u001b[2J\u202ey"}`, "a: x\ufffd[2J\ufffdy"},
	} {
		t.Run(name, func(t *testing.T) {
			line := message(test.subject, test.body).Line()
			if _, said, _ := strings.Cut(line, string(test.subject)); strings.TrimSpace(said) != test.want {
				t.Errorf("%q, want it to say %q", line, test.want)
			}
		})
	}
}

func TestFilter(t *testing.T) {
	chat := message(bus.MessageLog, `{"username":"Alice","message":"hi"}`)
	count := message(bus.StatsUserCount, `{"chat_count":5}`)
	status := message(bus.StatusUpdate, `{"status_data":{"bot_afk":1}}`)
	poll := message(bus.OutboundGet, `{"limit":20}`)
	poll.Request = true
	for filter, want := range map[string]string{
		"":                                  "chat count status",
		"db.>":                              "chat count status poll",
		"db.message.log":                    "chat",
		"db.stats.* db.message.log":         "chat count",
		"db.*":                              "",
		"db.message.log.more":               "",
		"username=alice":                    "chat",
		"chat_count=5":                      "count",
		"bot_afk=1":                         "status",
		"db.> username=alice":               "chat",
		"db.messages.outbound.get limit=20": "poll",
		">":                                 "chat count status poll",
	} {
		parsed, err := ParseFilter(strings.Fields(filter))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i, m := range []Message{chat, count, status, poll} {
			if parsed.matches(m) {
				got = append(got, []string{"chat", "count", "status", "poll"}[i])
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q lets through %v, want %s", filter, got, want)
		}
	}
	for _, wrong := range []string{"db..x", "db.>.x", "a b", "."} {
		if _, err := ParseFilter([]string{wrong}); err == nil || !strings.Contains(err.Error(), "expected a subject") {
			t.Errorf("%q: %v", wrong, err)
		}
	}
}

func TestChatLine(t *testing.T) {
	for payload, want := range map[string]string{
		`{"username":"alice","message":"&gt;be <span class=\"spoiler\">me</span>","timestamp":"x"}`: "alice: >be me",
		`{"username":"alice"}`: "", `[]`: "", `{"username":`: "",
	} {
		if got := ChatLine(bus.MessageLog, []byte(payload)); got != want {
			t.Errorf("%s: %q, want %q", payload, got, want)
		}
	}
	if got := ChatLine(bus.OutboundFailed, []byte(`{"message":"x"}`)); got != "" {
		t.Errorf("another subject: %q", got)
	}
}
