package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// pythonService behaves on NATS like the Python Rosey's service: it has a plain subscription for each of its nine
// subjects, no queue group and no ids; it replies with arrays, acknowledges no events, and ignores subjects that it
// does not know.
type pythonService struct {
	t    *testing.T
	conn *nats.Conn

	mu        sync.Mutex
	handled   map[string][]map[string]any
	chat      []pythonChat
	outbound  []*pythonLine
	pollCount int
}

// pythonChat is a row of its table of chat lines. It records its own time.
type pythonChat struct {
	Timestamp int64  `json:"timestamp"`
	Username  string `json:"username"`
	Message   string `json:"message"`
}

// pythonLine is a row of its table of outbound lines.
type pythonLine struct {
	ID         int    `json:"id"`
	Timestamp  int    `json:"timestamp"`
	Message    string `json:"message"`
	RetryCount int    `json:"retry_count"` // never incremented
	LastError  any    `json:"last_error"`
	sent       int
}

func startPythonService(t *testing.T, conn *nats.Conn, lines ...string) *pythonService {
	t.Helper()
	s := &pythonService{t: t, conn: conn, handled: map[string][]map[string]any{}}
	for i, text := range lines {
		s.outbound = append(s.outbound, &pythonLine{ID: i + 1, Timestamp: 1763700000, Message: text})
	}
	for _, subject := range []string{
		"user.joined", "user.left", "message.log", "stats.user_count", "stats.high_water", "status.update",
		"messages.outbound.mark_sent",
	} {
		s.subscribe(subject, func(m *nats.Msg) { s.handle(subject, m.Data) })
	}
	s.subscribe("messages.outbound.get", func(m *nats.Msg) { s.reply(m, s.outboundLines(m.Data)) })
	s.subscribe("stats.recent_chat.get", func(m *nats.Msg) { s.reply(m, s.recentChat(m.Data)) })
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *pythonService) subscribe(subject string, handle nats.MsgHandler) {
	s.t.Helper()
	if _, err := s.conn.Subscribe("rosey.db."+subject, handle); err != nil {
		s.t.Fatal(err)
	}
}

// reply sends a reply as JSON.
func (s *pythonService) reply(m *nats.Msg, body any) {
	data, err := json.Marshal(body)
	if err == nil {
		err = m.Respond(data)
	}
	if err != nil {
		s.t.Error(err)
	}
}

// handle stores an event. It ignores unknown fields.
func (s *pythonService) handle(subject string, data []byte) {
	var body map[string]any
	if err := json.Unmarshal(data, &body); err != nil {
		s.t.Errorf("%s: %s: %v", subject, data, err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handled[subject] = append(s.handled[subject], body)
	if subject == "message.log" && strings.ToLower(fmt.Sprint(body["username"])) != "server" {
		s.chat = append(s.chat, pythonChat{
			time.Now().Unix(), fmt.Sprint(body["username"]), fmt.Sprint(body["message"])})
	}
	for _, line := range s.outbound {
		if subject == "messages.outbound.mark_sent" && float64(line.ID) == body["message_id"] {
			line.sent++
		}
	}
}

// recentChat is its query for the last lines: within one second, the order is reversed.
func (s *pythonService) recentChat(data []byte) []pythonChat {
	request := struct {
		Limit int `json:"limit"`
	}{50}
	if err := json.Unmarshal(data, &request); err != nil {
		s.t.Errorf("%s: %v", data, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := append([]pythonChat{}, s.chat...)
	slices.SortStableFunc(rows, func(a, b pythonChat) int { return cmp.Compare(b.Timestamp, a.Timestamp) })
	rows = rows[:min(len(rows), request.Limit)]
	slices.Reverse(rows)
	return rows
}

// outboundLines is its query: every request returns all lines that are not marked as sent.
func (s *pythonService) outboundLines(data []byte) []pythonLine {
	request := struct {
		Limit      int `json:"limit"`
		MaxRetries int `json:"max_retries"`
	}{50, 3}
	if err := json.Unmarshal(data, &request); err != nil {
		s.t.Errorf("%s: %v", data, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	lines := []pythonLine{}
	for _, line := range s.outbound {
		if line.sent == 0 && line.RetryCount < request.MaxRetries && len(lines) < request.Limit {
			lines = append(lines, *line)
		}
	}
	if request.Limit > 0 {
		s.pollCount++
	}
	return lines
}

// polls returns the number of requests for outbound lines.
func (s *pythonService) polls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pollCount
}

// all returns the events that it has handled on a subject.
func (s *pythonService) all(subject string) []map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]map[string]any(nil), s.handled[subject]...)
}

// saidByAlice returns alice's lines in the order in which they were received, repetitions included.
func (s *pythonService) saidByAlice() (texts []string) {
	for _, body := range s.all("message.log") {
		if body["username"] == "alice" {
			texts = append(texts, fmt.Sprint(body["message"]))
		}
	}
	return texts
}

// sentTimes returns which lines were marked as sent.
func (s *pythonService) sentTimes() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var times []string
	for _, line := range s.outbound {
		times = append(times, fmt.Sprintf("%d: %t", line.ID, line.sent > 0))
	}
	return strings.Join(times, ", ")
}
