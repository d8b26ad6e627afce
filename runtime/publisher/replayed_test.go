package publisher_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"rosey.dev/rosey/runtime/bus"
	"rosey.dev/rosey/runtime/bus/natstest"
	"rosey.dev/rosey/runtime/publisher"
	"rosey.dev/rosey/runtime/status"
)

// chatService is a database service without IDs that stores chat lines.
type chatService struct {
	mu     sync.Mutex
	rows   []bus.RecentLine
	silent bool // about what it has
}

func startChatService(t *testing.T, client *nats.Conn, rows ...bus.RecentLine) *chatService {
	t.Helper()
	s := &chatService{rows: rows}
	reply := func(m *nats.Msg, rows any) {
		data, err := json.Marshal(rows)
		must(t, err)
		must(t, m.Respond(data))
	}
	for subject, handle := range map[string]nats.MsgHandler{
		"rosey.db.message.log": func(m *nats.Msg) {
			var line bus.MessagePayload
			must(t, json.Unmarshal(m.Data, &line))
			s.mu.Lock()
			defer s.mu.Unlock()
			s.rows = append(s.rows, bus.RecentLine{
				Timestamp: time.Now().Unix(), Username: line.Username, Message: line.Message})
		},
		"rosey.db.messages.outbound.get": func(m *nats.Msg) { reply(m, []string{}) },
		"rosey.db.stats.recent_chat.get": func(m *nats.Msg) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.silent {
				reply(m, "an error")
				return
			}
			reply(m, append([]bus.RecentLine{}, s.rows...))
		},
	} {
		_, err := client.Subscribe(subject, handle)
		must(t, err)
	}
	must(t, client.Flush())
	return s
}

func (s *chatService) texts() (texts []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, row := range s.rows {
		texts = append(texts, row.Message)
	}
	return texts
}

// say publishes lines of a user who said them a minute ago, one per millisecond.
func say(p *publisher.Publisher, replayed bool, texts ...string) {
	for i, text := range texts {
		at := minuteAgo.Add(time.Duration(i) * time.Millisecond)
		p.Publish(context.Background(), bus.MessageLog, bus.ChatLineID("", "", "alice", at, "", text, 0), bus.MessagePayload{
			Username: "alice", Message: text, Origin: bus.Origin{Timestamp: bus.Seconds{Time: at}}, Replayed: replayed,
		})
	}
}

var minuteAgo = time.Now().Add(-time.Minute)

// TestReplayedLinesAreNotStoredAgainWithoutIDs joins twice with each of two processes.
func TestReplayedLinesAreNotStoredAgainWithoutIDs(t *testing.T) {
	t.Parallel()
	row := func(at time.Time, text string) bus.RecentLine {
		return bus.RecentLine{Timestamp: at.Unix(), Username: "alice", Message: text}
	}
	tests := map[string]struct {
		stored   []bus.RecentLine // before the first process starts
		live     []string         // lines that the first process gets when they are said
		replayed []string         // and those of its next join
		last     []string         // those of the join of another process
		missing  int              // how many of those the first process did not get
		want     []string
	}{
		"a rejoin": {
			live: []string{"a", "b", "a"}, replayed: []string{"a", "b", "a"}, last: []string{"a", "b", "a"},
			want: []string{"a", "b", "a"},
		},
		"lines of the absence": {
			live: []string{"a", "b"}, replayed: []string{"a", "b", "a", "c"},
			last: []string{"a", "b", "a", "c", "c"}, missing: 1,
			want: []string{"a", "b", "a", "c", "c"},
		},
		"lines that another process has stored": {
			stored: []bus.RecentLine{row(minuteAgo, "a"), row(minuteAgo.Add(2*time.Second), "b")},
			live:   []string{}, replayed: []string{"a", "b", "b"}, last: []string{"a", "b", "b"},
			want: []string{"a", "b", "b"},
		},
		"an earlier line with the same text": {
			stored: []bus.RecentLine{row(minuteAgo.Add(-time.Minute), "a")},
			live:   []string{}, replayed: []string{"a"}, last: []string{"a"}, want: []string{"a", "a"},
		},
		"each line twice, as the Python bot stores it": {
			stored: []bus.RecentLine{row(minuteAgo, "a"), row(minuteAgo, "a"), row(minuteAgo, "b"), row(minuteAgo, "b")},
			live:   []string{}, replayed: []string{"a", "b", "c"}, last: []string{"a", "b", "c"},
			want: []string{"a", "a", "b", "b", "c"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := natstest.Start(t)
			s := startChatService(t, server.Client(), test.stored...)
			first := runPublisher(t, publisher.Options{Conn: connect(t, server.URL())})
			say(first, false, test.live...)
			say(first, true, test.replayed...)
			say(first, true, test.replayed...)
			must(t, first.Flush(t.Context()))
			second := runPublisher(t, publisher.Options{Conn: connect(t, server.URL())})
			natstest.Eventually(t, "the first lines", func() bool {
				return len(s.texts()) >= len(test.want)-test.missing
			})
			say(second, true, test.last...)
			say(second, true, test.last...)
			must(t, second.Flush(t.Context()))
			natstest.Eventually(t, "all lines", func() bool { return len(s.texts()) >= len(test.want) })
			if diff := cmp.Diff(test.want, s.texts()); diff != "" {
				t.Errorf("stored (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAServiceThatDoesNotTellWhatItHasGetsEveryLine checks that lines neither block the queue nor are lost.
func TestAServiceThatDoesNotTellWhatItHasGetsEveryLine(t *testing.T) {
	t.Parallel()
	server := natstest.Start(t)
	s := startChatService(t, server.Client())
	s.silent = true
	p := runPublisher(t, publisher.Options{Conn: connect(t, server.URL())})
	waitForReason(t, p.Check, status.ReasonServiceAnswers)
	say(p, true, "a", "b")
	say(p, true, "a", "b", "c")
	must(t, p.Flush(t.Context()))
	natstest.Eventually(t, "all lines", func() bool { return slices.Equal(s.texts(), []string{"a", "b", "c"}) })
}
